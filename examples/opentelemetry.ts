import { tracingChannel } from "node:diagnostics_channel";
import type { Meter, Observable } from "@opentelemetry/api";
import { ConsoleMetricExporter, MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { type ProposeDiagnostic, Supervisor } from "flotilla";

/** OpenTelemetry writes units as UCUM does. */
const UNITS = { "1": "1", bytes: "By", seconds: "s" } as const;

/** Has `meter` read the counters and gauges whenever it is collected. It needs the API package alone. */
async function observe(meter: Meter, supervisor: Supervisor): Promise<void> {
  const instruments = new Map<string, Observable>();
  for (const { name, kind, help, unit } of await supervisor.metrics()) {
    const options = { description: help, unit: UNITS[unit] };
    if (kind === "counter") instruments.set(name, meter.createObservableCounter(name, options));
    if (kind === "gauge") instruments.set(name, meter.createObservableGauge(name, options));
  }
  meter.addBatchObservableCallback(
    async (result) => {
      for (const metric of await supervisor.metrics()) {
        const instrument = instruments.get(metric.name);
        if (instrument === undefined || metric.kind === "histogram") continue;
        for (const { labels, value } of metric.values) result.observe(instrument, value, labels);
      }
    },
    [...instruments.values()],
  );
}

/** OpenTelemetry makes histograms itself, from single values: those come from a diagnostics channel. */
function measure(meter: Meter): void {
  const durations = meter.createHistogram("flotilla_propose_duration_seconds", {
    description: "From propose() to the acknowledgement.",
    unit: "s",
    // Those that it takes by default are for milliseconds.
    advice: { explicitBucketBoundaries: [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5] },
  });
  const begun = new WeakMap<object, number>();
  tracingChannel<"flotilla:propose", ProposeDiagnostic>("flotilla:propose").subscribe({
    start: (proposal) => void begun.set(proposal, performance.now()),
    end: () => {},
    asyncStart: () => {},
    asyncEnd: (proposal) => {
      const seconds = (performance.now() - (begun.get(proposal) ?? 0)) / 1_000;
      durations.record(seconds, { outcome: "error" in proposal ? "error" : "ok" });
    },
    error: () => {},
  });
}

// In an app the exporter is another, such as OTLPMetricExporter.
const reader = new PeriodicExportingMetricReader({ exporter: new ConsoleMetricExporter() });
const provider = new MeterProvider({ readers: [reader] });
const meter = provider.getMeter("flotilla");

const supervisor = await Supervisor.start({ peers: 3 });
try {
  measure(meter);
  await observe(meter, supervisor);
  await supervisor.propose({ op: "put", key: "greeting", value: "hello" });
} finally {
  // Collects once more, so it goes before the supervisor.
  await provider.shutdown();
  await supervisor.stop();
}
