/** What a command costs: its time, and the memory of all its processes together. */
import { readdirSync, readFileSync } from "node:fs";
import type { Running } from "../../cli/engine.ts";

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
  const watch = setInterval(() => (memory = Math.max(memory, memoryOf(running.pid))), 100);
  const { code, out, error } = await running.ended;
  clearInterval(watch);
  if (code !== 0) throw new Error(out + error);
  return { seconds: (performance.now() - began) / 1000, memory };
}

/** MiB that a process and its descendants hold now. */
function memoryOf(root: number): number {
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      // pid (command) state parent ...; the command may hold spaces.
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      parents.set(Number(entry), Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]));
    } catch {}
  }
  const below = (pid: number): boolean => pid === root || (parents.has(pid) && below(parents.get(pid)!));
  let kilobytes = 0;
  for (const pid of parents.keys()) {
    if (!below(pid)) continue;
    try {
      // What several processes share is counted once: each has its part of it.
      kilobytes += Number(/^Pss:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"))?.[1] ?? 0);
    } catch {}
  }
  return kilobytes / 1024;
}
