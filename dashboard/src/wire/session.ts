// Response types of the service, limited to the fields that the dashboard uses.

import type { Gap, SessionEvent } from './event';
import type { Fields } from './json';

export interface WholeSession {
  metadata: Fields;
  initial: Fields | null;
  state: Fields;
  final: Fields | null;
}

export interface SessionPage {
  sessions: Fields[];
  next: string | null;
}

export interface FeedPage {
  events: SessionEvent[];
  next: string;
  gap?: Gap;
}

export interface EventPage extends FeedPage {
  at: number;
  total: number;
}

export interface Health {
  status: string;
  uptime: number;
  /** Sent only to clients that may read everything. */
  websocket?: { totalConnections: number; users: number; sessions: number };
  storage?: {
    status: string;
    epoch: string;
    offset: number;
    sessions: number;
    active: number;
    resident: number;
    freeBytes: number;
    journalBytes: number;
    quarantined: number;
  };
}

export interface Stats {
  total: number;
  active: number;
  completed: number;
}

/** What a session's model requests used, and at which prices it was computed. */
export interface UsageReport {
  /** Offset of the last event that the sums include. */
  offset: number;
  total: Fields;
  own: Fields;
  agents: Record<string, Fields>;
  byModel: Record<string, Fields>;
  unpriced: { model: string; provider?: string; reason: string; requests: number }[];
  /** Prices by model, provider and length of the prompt; a service of an earlier version leaves them out. */
  rates?: { model: string; provider?: string; tiers: Fields[] }[];
  prices: { name: string; address?: string; date: string; digest: string }[];
}
