import { declarePart } from "./run-part.ts";

// That one is long, and RsmRestartSubmit4A begins like it: `flotilla lab rsm` runs all.
const isChosen = (name: string) => name.startsWith("Rsm") && name !== "RsmRestartReplay4A";

declarePart("4A", isChosen);
declarePart("4C", isChosen);
