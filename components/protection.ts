/** Whether what holds data may go: one knob, under one name, wherever something does. */
import { oneOf } from "./schema.ts";

/** `PREVENT` is refused by the preview already. */
export type DeletionPolicy = "DELETE" | "PREVENT";

/** Whether a component keeps what it holds. One that is not told does: what is gone by an oversight stays gone. */
export const keeps = (policy: DeletionPolicy = "PREVENT"): boolean => policy === "PREVENT";

/** The key `deletionPolicy` of a config schema. @param what is asked for */
export const deletionPolicy = (what: string) => oneOf(["DELETE", "PREVENT"], what);

/** What holds unless a stack's file says otherwise: prod keeps what it has. */
export const defaultPolicy = (environment: string): DeletionPolicy => (environment === "prod" ? "PREVENT" : "DELETE");
