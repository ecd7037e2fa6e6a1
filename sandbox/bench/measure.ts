/** What a command costs: its time, and the memory of all its processes together. */
import { readFileSync } from "node:fs";
import { descendants, type Running } from "../../cli/engine.ts";

export interface Cost {
  seconds: number;
  /** MiB, of the CLI, the program and the providers together, at their most. */
  memory: number;
}

/** Measures a command of the engine while it runs. Memory is read from /proc, which only Linux has. */
export async function cost(start: () => Running): Promise<Cost> {
  const began = performance.now();
  const running = start();
  let memory = 0;
  const watch = setInterval(() => (memory = Math.max(memory, memoryOf(running.pid))), 250);
  const { code, out, error } = await running.ended;
  clearInterval(watch);
  if (code !== 0) throw new Error(out + error);
  return { seconds: (performance.now() - began) / 1000, memory };
}

/** MiB that a process and its descendants hold now; what several share is counted once. */
function memoryOf(pid: number): number {
  const kilobytes = [pid, ...descendants(pid)].map((each) => {
    try {
      return Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${each}/smaps_rollup`, "utf8"))?.[1] ?? 0);
    } catch {
      return 0;
    }
  });
  return kilobytes.reduce((sum, each) => sum + each, 0) / 1024;
}
