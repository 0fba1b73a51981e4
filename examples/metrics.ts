import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type Metric, type MetricLabels, Supervisor } from "flotilla";

/** The text that Prometheus scrapes. */
function toPrometheus(metrics: readonly Metric[]): string {
  const lines: string[] = [];
  const sample = (name: string, labels: MetricLabels, value: number) => {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}=${JSON.stringify(text)}`);
    lines.push(`${name}${pairs.length > 0 ? `{${pairs.join(",")}}` : ""} ${value}`);
  };
  for (const metric of metrics) {
    const { name, help, kind } = metric;
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${kind}`);
    if (metric.kind !== "histogram") {
      for (const { labels, value } of metric.values) sample(name, labels, value);
      continue;
    }
    for (const { labels, count, sum, buckets } of metric.values) {
      for (const { le, count } of buckets) {
        sample(`${name}_bucket`, { ...labels, le: le === Number.POSITIVE_INFINITY ? "+Inf" : String(le) }, count);
      }
      sample(`${name}_sum`, labels, sum);
      sample(`${name}_count`, labels, count);
    }
  }
  return `${lines.join("\n")}\n`;
}

const supervisor = await Supervisor.start({ peers: 3 });
await supervisor.propose({ op: "put", key: "greeting", value: "hello" });

const server = createServer((_request, response) => {
  supervisor.metrics().then(
    (metrics) => response.setHeader("content-type", "text/plain; version=0.0.4").end(toPrometheus(metrics)),
    (error) => response.writeHead(503).end(String(error)),
  );
});
server.listen(Number(process.argv[2] ?? 9464), "127.0.0.1", () => {
  console.log(`http://127.0.0.1:${(server.address() as AddressInfo).port}/metrics`);
});

process.once("SIGTERM", async () => {
  server.close();
  server.closeAllConnections();
  await supervisor.stop();
});
