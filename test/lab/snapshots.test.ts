import { declarePart } from "./run-part.ts";

declarePart("3D");
