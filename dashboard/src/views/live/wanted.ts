// Decides which events the feed shows.

import type { Line } from '../../store/feed';
import { familyOf } from '../../wire/event';
import { asText } from '../../wire/json';

export interface Wanted {
  session: string;
  user: string;
  /** A family, an event type, or an action's own type. */
  type: string;
  any: boolean;
}

export function parseWanted(query: URLSearchParams): Wanted {
  const [session, user, type] = ['session', 'user', 'type'].map((key) => query.get(key)?.trim() ?? '') as [
    string,
    string,
    string,
  ];
  return { session, user, type, any: session !== '' || user !== '' || type !== '' };
}

export function fits(line: Line, { session, user, type, any }: Wanted, userOf: (session: string) => string): boolean {
  if (!any || !line.event) return true;
  const { event } = line;
  return (
    (session === '' || event.sessionId.toLowerCase().includes(session.toLowerCase())) &&
    (user === '' || userOf(event.sessionId) === user) &&
    (type === '' || familyOf(event.type) === type || event.type === type || asText(event.data['type']) === type)
  );
}
