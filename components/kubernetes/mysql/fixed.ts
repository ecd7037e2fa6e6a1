/** Keeps a StatefulSet from being made again: what it cannot be given later is refused by the preview already. */
import {
  type CustomResourceOptions,
  ResourceHook,
  type ResourceHookArgs,
  type ResourceHookFunction,
} from "@pulumi/pulumi";

/** The annotation that says what a StatefulSet was made with. */
export const fixedKey = "esteira/made-with";

/** What a StatefulSet is made with and keeps, by the words of whoever asks for it. */
export type Fixed = Readonly<Record<string, string>>;

/** The annotation's value. */
export const fixedText = (fixed: Fixed): string => JSON.stringify(fixed);

/**
 * Options for a StatefulSet whose annotation {@link fixedKey} says what it is made with.
 *
 * To the provider another volume is a reason to delete the StatefulSet and make it again, which ends the database meanwhile. So the
 * engine is told to overlook these fields, and what changes is the annotation: an update, which a hook refuses while nothing has
 * been touched, in a preview too. A StatefulSet that is not there is made with whatever is asked for.
 * @param mend what to do about a change, as the end of the refusal
 * @see https://www.pulumi.com/docs/iac/concepts/resources/options/hooks/
 */
export const fixedOptions = (name: string, mend: string): CustomResourceOptions => ({
  ignoreChanges: [
    "metadata.namespace",
    "spec.podManagementPolicy",
    "spec.selector",
    "spec.serviceName",
    "spec.volumeClaimTemplates",
  ],
  hooks: { beforeUpdate: [new ResourceHook(`${name}-made-with`, refuseOther(mend), { onDryRun: true })] },
});

/** @throws Error where the update asks for something else than the StatefulSet was made with */
export const refuseOther =
  (mend: string): ResourceHookFunction =>
  ({ name, oldInputs, newInputs }) => {
    const [was, wanted] = [fixedIn(oldInputs), fixedIn(newInputs)];
    const changed = [...new Set([...Object.keys(was), ...Object.keys(wanted)])].filter(
      (key) => was[key] !== wanted[key],
    );
    // One from before the annotation is given it.
    if (Object.keys(was).length === 0 || changed.length === 0) return;
    const changes = changed.map((key) => `${key} is ${was[key]} and cannot become ${wanted[key]}`);
    throw new Error(`${name} keeps what it was made with: ${changes.join("; ")}. Nothing has been touched. ${mend}`);
  };

function fixedIn(inputs: ResourceHookArgs["oldInputs"]): Fixed {
  const { annotations } = (inputs?.["metadata"] ?? {}) as { annotations?: Record<string, string> };
  return JSON.parse(annotations?.[fixedKey] ?? "{}") as Fixed;
}
