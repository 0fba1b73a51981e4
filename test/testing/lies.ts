import type {
  RaftRecord,
  RecordedCall,
  RecordedEffects,
  RecordedMessage,
  RecordedOutgoing,
  RecordedState,
  RecordedStep,
} from "../../src/actors/record.ts";

/** A step, with what the peer shows after it and after the one before. */
export interface Moment {
  readonly step: RecordedStep;
  readonly state: RecordedState;
  readonly before: RecordedState;
  readonly record: RaftRecord;
  readonly at: number;
}

/** What a step is told to have been; undefined: not this one. No steps: it is left out. */
export type Lie = (moment: Moment) => RecordedStep | readonly RecordedStep[] | undefined;

/** Where a lie was planted, and the lives with it. */
export interface Planted {
  readonly lives: RaftRecord[];
  readonly peer: string;
  readonly incarnation: number;
  readonly step: number;
}

/** All lives with the lie planted at the first step that it fits; in turn at each, if `every`. */
export function* plantings(lives: readonly RaftRecord[], lie: Lie): Generator<Planted> {
  for (const record of lives) {
    let before = record.start.state;
    for (const [at, step] of record.steps.entries()) {
      const state = { ...before, ...step.changed };
      const told = lie({ step, state, before, record, at });
      before = state;
      if (told === undefined) continue;
      const steps = record.steps.toSpliced(at, 1, ...("call" in told ? [told] : told));
      const { id, incarnation = 0 } = record.start.options;
      yield {
        lives: lives.map((each) => (each === record ? { ...each, steps } : each)),
        ...{ peer: id, incarnation, step: at },
      };
    }
  }
}

/** The step with something else changed. */
export function showing(step: RecordedStep, changed: Partial<RecordedState>): RecordedStep {
  return { ...step, changed: { ...step.changed, ...changed } };
}

type Kind = RecordedCall["kind"];
type CallOf<Wanted extends Kind> = RecordedCall & { readonly kind: Wanted };

/** The call, if it is of that kind. */
export function callOf<Wanted extends Kind>({ call }: RecordedStep, kind: Wanted): CallOf<Wanted> | undefined {
  return call.kind === kind ? (call as CallOf<Wanted>) : undefined;
}

type Type = RecordedMessage["type"];
type MessageOf<Wanted extends Type> = RecordedMessage & { readonly type: Wanted };

/** The message that came in, if it is of that type. */
export function received<Wanted extends Type>(step: RecordedStep, type: Wanted): MessageOf<Wanted> | undefined {
  const { message } = callOf(step, "step") ?? {};
  return message?.type === type ? (message as MessageOf<Wanted>) : undefined;
}

/** The step with another message coming in. */
export function receiving(step: RecordedStep, message: RecordedMessage): RecordedStep {
  const call = callOf(step, "step");
  return call === undefined ? step : { ...step, call: { ...call, message } };
}

/** What came out, if anything did. */
export function effectsOf(step: RecordedStep): RecordedEffects | undefined {
  return callOf(step, "effects")?.returned;
}

/** The step with something else coming out. */
export function yielding(step: RecordedStep, effects: Partial<RecordedEffects>): RecordedStep {
  const returned = effectsOf(step);
  return returned === undefined ? step : { ...step, call: { kind: "effects", returned: { ...returned, ...effects } } };
}

/** Changes the first message of that type among those that go out; undefined when there is none that it fits. */
export function sending<Wanted extends Type>(
  step: RecordedStep,
  when: "before" | "after",
  type: Wanted,
  change: (message: MessageOf<Wanted>) => RecordedMessage | undefined,
): RecordedStep | undefined {
  const outgoing: readonly RecordedOutgoing[] = effectsOf(step)?.[when] ?? [];
  for (const [at, { to, message }] of outgoing.entries()) {
    const changed = message.type === type ? change(message as MessageOf<Wanted>) : undefined;
    if (changed !== undefined) return yielding(step, { [when]: outgoing.with(at, { to, message: changed }) });
  }
  return undefined;
}
