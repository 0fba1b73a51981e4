import type { Operation } from "../history.ts";
import { modelNamed } from "./models.ts";
import { checkPartition, type Limits, type PartitionResult } from "./partition.ts";

/** Partitions for a thread of the pool to decide. */
export interface Task {
  /** Of the model. */
  readonly name: string;
  readonly partitions: readonly (readonly Operation<unknown, unknown>[])[];
  readonly limits: Limits;
}

/** Runs in a thread of the pool. @returns the results of the partitions, in their order. */
export default function work({ name, partitions, limits }: Task): PartitionResult[] {
  const model = modelNamed(name);
  return partitions.map((operations) => {
    const checking = checkPartition(operations, model, limits);
    let turn = checking.next();
    while (turn.done !== true) turn = checking.next();
    return turn.value;
  });
}
