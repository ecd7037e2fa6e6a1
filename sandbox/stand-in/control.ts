/** A look at a running stand-in, and a way to make it fail, for whoever has a shell. */
import { type Fault, failNext, faults } from "./faults.ts";
import type { StandIn } from "./server.ts";

/**
 * Answers what is asked below `/_sandbox/`.
 * @param request method and path
 * @example curl -s localhost:PORT/_sandbox/state
 * @example curl -s localhost:PORT/_sandbox/calls
 * @example curl -s localhost:PORT/_sandbox/faults -d '{"fault": "error", "operation": "repos/*", "times": 3}'
 */
export function control(standIn: StandIn, request: string, body: unknown): { status: number; value: unknown } {
  switch (request) {
    case "GET /_sandbox/state":
      return { status: 200, value: standIn.api.snapshot() };
    case "GET /_sandbox/calls":
      return { status: 200, value: standIn.log };
    case "DELETE /_sandbox/faults":
      standIn.intercept = undefined;
      return { status: 200, value: {} };
    case "POST /_sandbox/faults": {
      const {
        fault,
        operation = "*",
        times = 1,
      } = (body ?? {}) as { fault?: Fault; operation?: string; times?: number };
      if (!fault || !(fault in faults)) return { status: 422, value: { message: "fault is one of these", faults } };
      failNext(standIn, fault, operation, times);
      return { status: 200, value: { fault, operation, times } };
    }
    default:
      return { status: 404, value: { message: "there are: GET state, GET calls, POST faults, DELETE faults" } };
  }
}
