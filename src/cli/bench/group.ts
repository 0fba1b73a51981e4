/** The groups of values with the same key, in the order in which they first appear. */
export function groupBy<Value>(values: readonly Value[], key: (value: Value) => string): [string, Value[]][] {
  const groups = new Map<string, Value[]>();
  for (const value of values) {
    const name = key(value);
    const group = groups.get(name);
    if (group === undefined) groups.set(name, [value]);
    else group.push(value);
  }
  return [...groups];
}
