/** Kubernetes' amounts, which Google's services count in too: the vocabulary that config schemas are made of, and sums. */
import { z } from "zod";
import { expected, pattern } from "./schema.ts";

const cpuSentence = "an amount of cores, such as 250m or 2";

/** Cores, as text or as a number. @see https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/quantity/ */
export const cpu = z
  .union(
    [pattern(/^([1-9][0-9]*m?|[0-9]+\.[0-9]{1,3})$/, cpuSentence), z.number(expected(cpuSentence)).positive()],
    expected(cpuSentence),
  )
  .describe(cpuSentence);

/** An amount of memory. */
export const memory = pattern(/^[1-9][0-9]*(Mi|Gi)$/, "an amount of memory in Mi or Gi, such as 256Mi or 1Gi");

/** The size of a volume. */
export const volumeSize = pattern(/^[1-9][0-9]*(Mi|Gi|Ti)$/, "the size of a volume in Mi, Gi or Ti, such as 20Gi");

/** Cores as a number. */
export const cores = (amount: string): number => Number.parseFloat(amount) / (amount.endsWith("m") ? 1000 : 1);

/** An amount of bytes in Mi, Gi or Ti as a number of MiB. */
export const mebibytes = (amount: string): number =>
  Number.parseInt(amount, 10) * 1024 ** "MGT".indexOf(amount.at(-2)!);

/** A sum of cores, in whole thousandths. */
export const sumOfCores = (amounts: readonly string[]): string =>
  `${Math.ceil(amounts.reduce((sum, amount) => sum + cores(amount) * 1000, 0))}m`;

/** A sum of bytes, in MiB. */
export const sumOfBytes = (amounts: readonly string[]): string =>
  `${amounts.reduce((sum, amount) => sum + mebibytes(amount), 0)}Mi`;
