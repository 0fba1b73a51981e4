/** Whether this is the source, and not the built package. */
export const isSource: boolean = import.meta.url.endsWith(".ts");

/**
 * A program that makes a thread able to load the modules of the source; a thread inherits no loader. Undefined where it
 * need not: in the built package, and where Node takes types away by itself.
 */
export function loaderForThreads(): string | undefined {
  if (!isSource || "typescript" in process.features) return undefined;
  return `import { register } from ${JSON.stringify(import.meta.resolve("tsx/esm/api"))}; register();`;
}

/** The URL of a program, for whoever takes only modules. */
export function asModule(program: string): URL {
  return new URL(`data:text/javascript,${encodeURIComponent(program)}`);
}
