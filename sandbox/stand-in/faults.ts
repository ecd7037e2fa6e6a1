/** The failures that services really have, put in the way of a stand-in's calls. */
import type { Api } from "./api.ts";
import type { Interceptor, StandIn } from "./server.ts";

/** What goes wrong with one call. */
export const faults = {
  conflict: "409: somebody else changed it meanwhile",
  "rate-limit": "429 with Retry-After: 1",
  error: "500",
  drop: "the connection breaks before anything has happened",
  "lost-answer": "it has happened, and the connection breaks before the answer",
  slow: "the answer takes two seconds",
} as const;

export type Fault = keyof typeof faults;

const inject =
  (api: Api, fault: Fault): Interceptor =>
  async (_, answer) => {
    switch (fault) {
      case "conflict":
        return api.refusal(409, "Conflict: it was changed by another request; read it again");
      case "rate-limit": {
        const { headers, ...reply } = api.refusal(429, "Too many requests");
        return { ...reply, headers: { ...headers, "retry-after": "1" } };
      }
      case "error":
        return api.refusal(500, "Internal error");
      case "drop":
        return undefined;
      case "lost-answer":
        answer();
        return undefined;
      case "slow":
        await new Promise((resolve) => setTimeout(resolve, 2000).unref());
        return answer();
    }
  };

/**
 * Lets the next calls of an operation fail.
 * @param operation a name of the description; `*` stands for any text
 * @param times how many calls of each operation that fits
 * @returns what was hit, in order
 * @example failNext(github, "error", "repos/*") // the first call of every operation on repositories
 */
export function failNext(standIn: StandIn, fault: Fault, operation = "*", times = 1): string[] {
  const fits = new RegExp(`^${operation.split("*").map(RegExp.escape).join(".*")}$`);
  const hit: string[] = [];
  const goWrong = inject(standIn.api, fault);
  // Those that are still to come stay.
  const others = standIn.intercept;
  standIn.intercept = async (call, answer, log) => {
    if (!fits.test(call.operation) || hit.filter((each) => each === call.operation).length >= times) {
      return others ? others(call, answer, log) : answer();
    }
    hit.push(call.operation);
    log.fault = fault;
    return goWrong(call, answer, log);
  };
  return hit;
}
