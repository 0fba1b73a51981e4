import { inspect } from "node:util";
import { runLoad } from "./load.ts";
import type { LoadReply, LoadRequest, LoadTask } from "./load-thread.ts";

/** The thread of a load: carries out the runs that it is asked for, one after the other, until its port is closed. */
export default function load({ port }: LoadTask): Promise<void> {
  let controller = new AbortController();
  port.on("message", async (request: LoadRequest) => {
    if (request.kind === "abort") controller.abort();
    else {
      controller = new AbortController();
      port.postMessage(await replyTo(request, controller.signal));
    }
  });
  return new Promise((resolve) => port.once("close", () => resolve()));
}

async function replyTo(request: LoadRequest & { readonly kind: "run" }, signal: AbortSignal): Promise<LoadReply> {
  const { load, stretch, folder } = request;
  try {
    const { latencies, ...run } = await runLoad({ folder, signal }, load, stretch);
    return { ...run, histogram: latencies.histogram };
  } catch (error) {
    return { error: inspect(error) };
  }
}
