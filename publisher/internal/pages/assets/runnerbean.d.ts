/**
 * The types of /runnerbean.js. A node serves this file as /runnerbean.d.ts; docs/browser.md
 * says how a project uses it.
 */

export type State = 'waiting' | 'queued' | 'running' | 'succeeded' | 'failed' | 'cancelled';

/** The answer of a result URL. Times are RFC 3339 text. R is the program's own output. */
export interface ResultDocument<R = unknown> {
  id: string;
  program: string;
  state: State;
  /** When this document was made. */
  timestamp: string;
  created?: string;
  started?: string;
  finished?: string;
  /** The number of the newest attempt, from 1. */
  attempt?: number;
  node?: string;
  /** How many queued jobs of the program come before this one. */
  position?: number;
  /** When a queued job may start at the earliest. */
  not_before?: string;
  /** What the job waits for, in words. */
  reason?: string;
  /** Between 0 and 1. */
  progress?: number;
  message?: string;
  counters?: Record<string, number>;
  /** The part of a larger work that a running program works on. */
  chunk?: { id: string; of?: string };
  /** The newest partial result of a running program. */
  partial?: unknown;
  provenance?: Provenance;
  /** Only of a job that has succeeded. */
  result?: R;
  artifacts?: Artifact[];
  left_out?: LeftOut[];
  /** Only of a job that has failed or was cancelled. */
  error?: JobError;
}

/** What a result was made from. */
export interface Provenance {
  program_sha256?: string;
  inputs?: Source[];
}

/** One input as it was fetched. */
export interface Source {
  name?: string;
  url?: string;
  sha256: string;
  size: number;
  last_modified?: string;
}

/** A file that the program left in out/. */
export interface Artifact {
  name: string;
  url: string;
  /** In bytes. */
  size: number;
  sha256: string;
}

/** Something in out/ that is not kept. */
export interface LeftOut {
  name?: string;
  reason: string;
}

/** Why a job did not succeed. */
export interface JobError {
  class: string;
  message: string;
  /** A JSON pointer to the fault in the job document, the input or the result. */
  pointer?: string;
  /** The end of the program's standard error. */
  log_tail?: string;
}

/** Whether the server answers. */
export interface ConnectionStatus {
  connected: boolean;
  /** When the server was heard last; null while it is connected. */
  since: Date | null;
  /** When the next request is due; null while it is connected. */
  retry: Date | null;
  problem: FollowError | null;
}

/** The first five pass, and are tried again; so are `cors` and `not-a-result`. */
export type FollowReason = 'unreachable' | 'offline' | 'silent' | 'busy' | 'missing' | 'cors' | 'not-a-result' | 'policy' | 'refused' | 'gone';

/** Why a result cannot be read. */
export interface FollowError extends Error {
  /** Absent if the URL is not one. */
  reason?: FollowReason;
  /** The HTTP status, if there was an answer. */
  status?: number;
}

export interface FollowOptions<R = unknown> {
  /** Ends the iteration without an error. */
  signal?: AbortSignal;
  /** Called with each document before it is yielded. */
  onState?: (document: ResultDocument<R>) => void;
  /** Called when the connection is lost, fails again, and is back. */
  onStatus?: (status: ConnectionStatus) => void;
  /** Header fields of all requests, such as Authorization. */
  headers?: HeadersInit;
  /** Is used in place of the global fetch. */
  fetch?: typeof fetch;
}

/**
 * Yields the documents of a result URL as they change; the last one is final. Throws a
 * FollowError where the server refuses for good.
 */
export function follow<R = unknown>(url: string | URL, options?: FollowOptions<R>): AsyncIterableIterator<ResultDocument<R>>;

export interface RunnerbeanResultEventMap extends Omit<HTMLElementEventMap, 'error'> {
  /** There is a new document. */
  state: CustomEvent<ResultDocument>;
  /** The connection is lost, the next try is due at another time, or the connection is back. */
  connection: CustomEvent<ConnectionStatus>;
  /** The result cannot be read. */
  error: CustomEvent<FollowError>;
}

/** The element <runnerbean-result>. */
export interface RunnerbeanResult extends HTMLElement {
  /** The result URL. It reflects the attribute; '' is none. Setting the same URL asks again. */
  src: string;
  /** The newest document, or null. */
  readonly result: ResultDocument | null;
  /** Asks again, for example after a retry. */
  refresh(): void;
  addEventListener<K extends keyof RunnerbeanResultEventMap>(type: K, listener: (this: RunnerbeanResult, event: RunnerbeanResultEventMap[K]) => unknown, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof RunnerbeanResultEventMap>(type: K, listener: (this: RunnerbeanResult, event: RunnerbeanResultEventMap[K]) => unknown, options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}

declare global {
  interface HTMLElementTagNameMap {
    'runnerbean-result': RunnerbeanResult;
  }
}
