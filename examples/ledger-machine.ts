import type { ApplyContext, DurableStateMachine, StateReader, StateWriter } from "flotilla";

export type Command = { readonly from: string; readonly to: string; readonly amount: number };

/** Accounts in the peers' stores. What a transfer wrote before it threw is taken back, so it may check as it goes. */
export default class Ledger implements DurableStateMachine<Command, number, string, unknown> {
  readonly durable = true;

  apply({ from, to, amount }: Command, _context: ApplyContext, state: StateWriter): number {
    const add = (account: string, more: number) => {
      const balance = ((state.get(account) as number | undefined) ?? 0) + more;
      if (balance < 0 && account !== "bank") throw new Error(`${account} would have ${balance}`);
      if (balance === 0) state.delete(account);
      else state.put(account, balance);
      return balance;
    };
    add(to, amount);
    return add(from, -amount);
  }

  query(prefix: string, state: StateReader): unknown {
    return Object.fromEntries(state.entries({ prefix }));
  }
}
