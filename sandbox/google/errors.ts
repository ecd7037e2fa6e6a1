/** Errors in the form that Google's APIs give them. */
import { Refusal, type Reply } from "../stand-in/api.ts";

/** @see https://cloud.google.com/apis/design/errors#handling_errors */
const canonical: Record<number, string> = {
  400: "INVALID_ARGUMENT",
  401: "UNAUTHENTICATED",
  403: "PERMISSION_DENIED",
  404: "NOT_FOUND",
  409: "ABORTED",
  412: "FAILED_PRECONDITION",
  429: "RESOURCE_EXHAUSTED",
  499: "CANCELLED",
  500: "INTERNAL",
  501: "UNIMPLEMENTED",
  503: "UNAVAILABLE",
  504: "DEADLINE_EXCEEDED",
};

/** A refusal that knows more than its HTTP status. */
export class GoogleError extends Refusal {
  readonly reply: Reply;

  /**
   * @param code the HTTP status
   * @param name the canonical name, where the HTTP status has several
   * @param reason what the older APIs (Storage, BigQuery) tell beside the message, such as `notFound`
   */
  constructor(code: number, message: string, { name, reason }: { name?: string; reason?: string } = {}) {
    super(code, message);
    this.reply = {
      status: code,
      body: {
        error: {
          code,
          message,
          ...(reason ? { errors: [{ message, domain: "global", reason }] } : {}),
          status: name ?? canonical[code] ?? (code < 500 ? "FAILED_PRECONDITION" : "INTERNAL"),
        },
      },
    };
  }
}

export const notFound = (message: string) => new GoogleError(404, message);

export const invalid = (message: string) => new GoogleError(400, message);

export const alreadyExists = (message: string) => new GoogleError(409, message, { name: "ALREADY_EXISTS" });

export const failedPrecondition = (message: string) => new GoogleError(400, message, { name: "FAILED_PRECONDITION" });
