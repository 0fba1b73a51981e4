/**
 * Makes an error without a stack. To capture one takes several times as long as all else about a call that fails, and calls fail by
 * the thousands: when there are too many, or when a leader is lost. Where word of that comes in, a stack would be of the event
 * loop, and not of the caller.
 */
export function withoutStack<Made extends Error>(make: () => Made): Made {
  const { stackTraceLimit } = Error;
  // Not by assignment, which throws where an app has frozen it.
  Reflect.set(Error, "stackTraceLimit", 0);
  try {
    return make();
  } finally {
    Reflect.set(Error, "stackTraceLimit", stackTraceLimit);
  }
}
