import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * The text of a file that stands below the module which asks.
 * @param module the asking module's `import.meta.url`
 * @example textBeside(import.meta.url, "./backup.sh")
 */
export const textBeside = (module: string, file: string): string =>
  readFileSync(fileURLToPath(new URL(file, module)), "utf8");
