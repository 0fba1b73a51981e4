import type { PeerId } from "../raft/message.ts";
import type { Role } from "../raft/state.ts";
import type { PeerState, PeerStatus } from "./board.ts";
import { type CallMeter, DURATION_BOUNDS, type Durations, type EventMeter, type PeerTally } from "./meter.ts";
import type { Counters } from "./network.ts";

/** What a metric has in common with others. Names and labels are fit for Prometheus and for OpenTelemetry. */
interface MetricHead {
  /** Begins with `flotilla_`; a counter's ends with `_total`. */
  readonly name: string;
  /** What it says, in a sentence. */
  readonly help: string;
  /** What it is counted in; "1" for things that have no unit. */
  readonly unit: "1" | "bytes" | "seconds";
}

export type MetricLabels = Readonly<Record<string, string>>;

/** A number, and what it is about. */
export interface MetricValue {
  readonly labels: MetricLabels;
  readonly value: number;
}

/** How a quantity is distributed. */
export interface HistogramValue {
  readonly labels: MetricLabels;
  readonly count: number;
  readonly sum: number;
  /** Cumulative: how many were `le` or less. Ascending; the last bound is Infinity. */
  readonly buckets: readonly { readonly le: number; readonly count: number }[];
}

/**
 * A metric as plain data. A counter begins at 0 with the supervisor and only grows; a gauge is as of now; of a state
 * that has names, such as `flotilla_peer_role`, there is a gauge for each name, 1 for the one in force and 0 for others.
 */
export type Metric =
  | (MetricHead & { readonly kind: "counter" | "gauge"; readonly values: readonly MetricValue[] })
  | (MetricHead & { readonly kind: "histogram"; readonly values: readonly HistogramValue[] });

/** What metrics are made from. */
export interface MetricSources {
  readonly statuses: readonly PeerStatus[];
  readonly network: Counters;
  readonly calls: CallMeter;
  readonly events: EventMeter;
  readonly waitingCalls: number;
  readonly waitingBytes: number;
}

const STATES: readonly PeerState[] = ["down", "up", "paused", "wedged", "given-up"];
const ROLES: readonly Role[] = ["follower", "pre-candidate", "candidate", "leader"];

/** All metrics of a cluster, as of now. */
export function collectMetrics(sources: MetricSources): Metric[] {
  return [...peerMetrics(sources), ...eventMetrics(sources), ...networkMetrics(sources), ...callMetrics(sources)];
}

function peerMetrics({ statuses }: MetricSources): Metric[] {
  const each = (value: (status: PeerStatus) => number) =>
    statuses.map((status) => ({ labels: { peer: status.id }, value: value(status) }));
  const oneOf = <Name extends string>(label: string, names: readonly Name[], of: (status: PeerStatus) => Name) =>
    statuses.flatMap((status) =>
      names.map((name) => ({ labels: { peer: status.id, [label]: name }, value: of(status) === name ? 1 : 0 })),
    );
  return [
    gauge(
      "flotilla_peer_state",
      "How the peer's thread is.",
      oneOf("state", STATES, ({ state }) => state),
    ),
    gauge(
      "flotilla_peer_role",
      "What the peer is in its current term.",
      oneOf("role", ROLES, ({ role }) => role),
    ),
    gauge(
      "flotilla_peer_current_term",
      "The latest term the peer has seen.",
      each(({ currentTerm }) => currentTerm),
    ),
    gauge(
      "flotilla_peer_commit_index",
      "The last entry the peer knows to be committed.",
      each(({ commitIndex }) => commitIndex),
    ),
    gauge(
      "flotilla_peer_last_applied",
      "The last entry the peer has applied.",
      each(({ lastApplied }) => lastApplied),
    ),
    gauge(
      "flotilla_peer_first_index",
      "The first entry in the peer's log.",
      each(({ firstIndex }) => firstIndex),
    ),
    gauge(
      "flotilla_peer_last_index",
      "The last entry in the peer's log.",
      each(({ lastIndex }) => lastIndex),
    ),
    gauge(
      "flotilla_peer_snapshot_index",
      "The last entry that the peer's snapshot stands for.",
      each(({ snapshotIndex }) => snapshotIndex),
    ),
    gauge(
      "flotilla_peer_incarnation",
      "How often the peer's store was opened.",
      each(({ incarnation }) => incarnation),
    ),
    gauge(
      "flotilla_peer_log_bytes",
      "The size of the peer's log, encoded.",
      each(({ logBytes }) => logBytes),
      "bytes",
    ),
  ];
}

function eventMetrics({ events }: MetricSources): Metric[] {
  const tallies = [...events.tallies()];
  const each = (value: (tally: PeerTally) => number) =>
    tallies.map(([peer, tally]) => ({ labels: { peer }, value: value(tally) }));
  const split = (label: string, parts: Readonly<Record<string, (tally: PeerTally) => number>>) =>
    tallies.flatMap(([peer, tally]) =>
      Object.entries(parts).map(([part, value]) => ({ labels: { peer, [label]: part }, value: value(tally) })),
    );
  return [
    counter("flotilla_elections_total", "Leaders that were elected, as far as this process heard of them.", [
      { labels: {}, value: events.elections },
    ]),
    counter(
      "flotilla_crashes_total",
      "Times the peer's thread ended, asked for by crash() or by itself.",
      split("requested", { true: (tally) => tally.requestedCrashes, false: (tally) => tally.crashes }),
    ),
    counter(
      "flotilla_restarts_total",
      "Times the restart policy started the peer again.",
      each(({ restarts }) => restarts),
    ),
    counter(
      "flotilla_given_up_total",
      "Times the peer was given up.",
      each(({ givenUp }) => givenUp),
    ),
    counter(
      "flotilla_snapshots_total",
      "Snapshots that the peer took, or installed from its leader.",
      split("source", {
        taken: ({ snapshotsTaken }) => snapshotsTaken,
        installed: ({ snapshotsInstalled }) => snapshotsInstalled,
      }),
    ),
    counter(
      "flotilla_snapshot_failures_total",
      "Snapshots that the peer's state machine failed to give.",
      each(({ snapshotFailures }) => snapshotFailures),
    ),
    gauge(
      "flotilla_snapshot_bytes",
      "The size of the peer's latest snapshot since the start; 0 when there was none.",
      each(({ snapshotBytes }) => snapshotBytes),
      "bytes",
    ),
    counter("flotilla_events_dropped_total", "Events that readers of events() did not read in time.", [
      { labels: {}, value: events.dropped },
    ]),
  ];
}

function networkMetrics({ network }: MetricSources): Metric[] {
  const peers = Object.entries(network.byPeer) as [PeerId, Counters["byPeer"][PeerId]][];
  const each = (value: (counters: Counters["byPeer"][PeerId]) => number) =>
    peers.map(([peer, counters]) => ({ labels: { peer }, value: value(counters) }));
  return [
    counter(
      "flotilla_network_requests_total",
      "Requests the peer sent, delivered or not.",
      each(({ rpcs }) => rpcs),
    ),
    counter(
      "flotilla_network_received_total",
      "Requests that were delivered to the peer.",
      each(({ received }) => received),
    ),
    counter(
      "flotilla_network_bytes_total",
      "Bytes of the requests the peer sent, and of its replies that were delivered.",
      each(({ bytes }) => bytes),
      "bytes",
    ),
    counter(
      "flotilla_network_messages_total",
      "Messages between peers by type: requests sent, replies delivered.",
      Object.entries(network.byType).map(([type, value]) => ({ labels: { type }, value })),
    ),
  ];
}

function callMetrics({ calls, waitingCalls, waitingBytes }: MetricSources): Metric[] {
  const outcomes = (kind: "propose" | "query") =>
    Object.entries(calls.counts(kind)).map(([outcome, value]) => ({ labels: { outcome }, value }));
  return [
    counter("flotilla_proposals_total", "Commands that this process proposed, by outcome.", outcomes("propose")),
    counter("flotilla_queries_total", "Queries that this process asked, by outcome.", outcomes("query")),
    gauge("flotilla_waiting_calls", "Commands and queries that wait for an answer.", [
      { labels: {}, value: waitingCalls },
    ]),
    gauge(
      "flotilla_waiting_bytes",
      "Bytes of the commands and queries that wait; see maxPendingBytes.",
      [{ labels: {}, value: waitingBytes }],
      "bytes",
    ),
    {
      name: "flotilla_propose_duration_seconds",
      kind: "histogram",
      unit: "seconds",
      help: "From propose() to the acknowledgement, of commands since metrics() was first called.",
      values: [histogram(calls.durations())],
    },
  ];
}

function histogram({ counts, sum }: Durations): HistogramValue {
  let count = 0;
  const buckets = counts.map((inBucket, at) => {
    count += inBucket;
    return { le: DURATION_BOUNDS[at] ?? Number.POSITIVE_INFINITY, count };
  });
  return { labels: {}, count, sum, buckets };
}

function gauge(name: string, help: string, values: readonly MetricValue[], unit: MetricHead["unit"] = "1"): Metric {
  return { name, kind: "gauge", unit, help, values };
}

function counter(name: string, help: string, values: readonly MetricValue[], unit: MetricHead["unit"] = "1"): Metric {
  return { name, kind: "counter", unit, help, values };
}
