/** Long-running operations: under way at the first look, done at the second. */
import { notFound } from "./errors.ts";
import { hex } from "./world.ts";

export interface Operation {
  name: string;
  metadata?: object;
  done?: boolean;
  response?: object;
  error?: { code: number; message: string };
}

/** How an operation will end. */
export type Outcome = Pick<Operation, "response" | "error">;

/** Nobody may ever look at an operation again, so what it holds is free after this. */
const longest = 2_000;

interface Running {
  operation: Operation;
  outcome: Outcome;
  /** What it works on. */
  target: string;
  started: number;
  looks: number;
}

/** All operations of all services, by name. */
export class Operations {
  readonly #held = new Map<string, Running>();

  /** @param parent what the operation's name starts with; an API whose operations belong to nothing has none */
  start(parent: string, target: string, outcome: Outcome, metadata: object = {}): Operation {
    const operation: Operation = { name: `${parent ? `${parent}/` : ""}operations/operation-${hex(24)}`, metadata };
    this.#held.set(operation.name, { operation, outcome, target, started: Date.now(), looks: 0 });
    return { ...operation };
  }

  get(name: string): Operation {
    const running = this.#held.get(name);
    if (!running) throw notFound(`Operation not found: ${name}`);
    running.looks += 1;
    if (running.looks >= 2) Object.assign(running.operation, { done: true }, running.outcome);
    return { ...running.operation };
  }

  /** Whether something is being changed right now. */
  isRunning(target: string): boolean {
    return [...this.#held.values()].some(
      (each) => each.target === target && !each.operation.done && Date.now() - each.started < longest,
    );
  }
}
