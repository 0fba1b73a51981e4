/** What a terminal and a service manager end a program with, and the exit codes that shells expect then. */
const INTERRUPTS = { SIGINT: 130, SIGTERM: 143 } as const;

/** That the user, or whoever reads the output, wants no more of a command. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** What the command is to end with once `signal` is aborted. */
  readonly exitCode: number;
  /** Listens no more. */
  release(): void;
}

/** Listens for the interruption of this process. */
export function listenForInterrupt(): Interrupt {
  const controller = new AbortController();
  let exitCode = 1;
  const stops = Object.entries(INTERRUPTS).map(([signal, code]) => {
    const stop = () => {
      exitCode = code;
      controller.abort();
    };
    process.once(signal, stop);
    return () => process.off(signal, stop);
  });
  // Whoever read the lines has gone. The listener stays: what is written on the way out fails too.
  process.stdout.on("error", () => controller.abort());
  return {
    signal: controller.signal,
    get exitCode() {
      return exitCode;
    },
    release() {
      for (const stop of stops) stop();
    },
  };
}
