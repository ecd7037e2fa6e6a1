/** What a provider or another stack would answer, for programs that the offline runtime runs: by itself it knows none of it. */
import { createRequire } from "node:module";
import { runtime } from "@pulumi/pulumi";
import type structProto from "google-protobuf/google/protobuf/struct_pb.js";

const { Struct } = createRequire(import.meta.url)("google-protobuf/google/protobuf/struct_pb.js") as typeof structProto;

interface Request {
  getType(): string;
  getName(): string;
}

interface Response {
  getObject?(): structProto.Struct | undefined;
  setObject?(value: structProto.Struct): void;
  getProperties?(): structProto.Struct | undefined;
  setProperties?(value: structProto.Struct): void;
}

type Callback = (error: Error | undefined, response?: Response) => void;
type Method = (request: Request, callback: Callback) => void;

/** A failure's own words: the SDK puts the property before them in which it met with it. */
export const wordsOf = ({ message }: Error): string => message.replace(/^(error serializing property "\w+": )+/, "");

/**
 * Has the running program's monitor answer with these outputs too. To be called within the program.
 * @param answers outputs by the last word of a resource's type and its name: `Container x-fill`
 */
export function answerWith(answers: Readonly<Record<string, Record<string, unknown>>>): void {
  const monitor = runtime.getMonitor() as unknown as Record<"registerResource" | "readResource", Method>;
  for (const method of ["registerResource", "readResource"] as const) {
    const original = monitor[method];
    monitor[method] = (request, callback) =>
      original(request, (error, response) => {
        const outputs = answers[`${request.getType().split(":").at(-1)} ${request.getName()}`];
        if (outputs) {
          const known = (response!.getObject ?? response!.getProperties)!.call(response)?.toJavaScript();
          const all = Struct.fromJavaScript({ ...known, ...outputs } as Parameters<typeof Struct.fromJavaScript>[0]);
          (response!.setObject ?? response!.setProperties)!.call(response, all);
        }
        callback(error, response);
      });
  }
}
