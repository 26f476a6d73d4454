// The current route: everything a view needs to show the same again is in the URL after the `#`,
// which works below any path and on any static file server.

export type View = 'sessions' | 'session' | 'live' | 'overview';
export const TABS = [
  'conversation',
  'timeline',
  'agents',
  'goals',
  'state',
  'actions',
  'responses',
  'files',
  'final',
] as const;
export type Tab = (typeof TABS)[number];

export interface Route {
  view: View;
  id: string;
  tab: Tab;
  query: URLSearchParams;
}

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split(/\?(.*)/s);
  const [view = '', id = '', tab = ''] = path.split('/').map(decode);
  const known = (['sessions', 'session', 'live', 'overview'] as const).find((name) => name === view) ?? 'sessions';
  const isSession = known === 'session' || known === 'sessions';
  return {
    view: isSession ? (id === '' ? 'sessions' : 'session') : known,
    id,
    tab: TABS.find((name) => name === tab) ?? TABS[0],
    query: new URLSearchParams(query),
  };
}

/** Decodes a part; a part that is not valid percent-encoding is returned unchanged. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function sessionHref(id: string, tab: Tab = TABS[0], query: Record<string, string> = {}): string {
  const search = new URLSearchParams(query).toString();
  return `#/session/${encodeURIComponent(id)}/${tab}${search === '' ? '' : `?${search}`}`;
}

class Router {
  place = $state.raw(parseRoute(location.hash));

  constructor() {
    addEventListener('hashchange', () => (this.place = parseRoute(location.hash)));
  }

  go(href: string): void {
    location.hash = href;
  }

  /** Changes the query of this place without adding a history entry; '' removes a key. */
  refine(changes: Record<string, string>): void {
    const query = new URLSearchParams(this.place.query);
    for (const [key, value] of Object.entries(changes)) {
      if (value === '') query.delete(key);
      else query.set(key, value);
    }
    const [path] = location.hash.split('?');
    const search = query.toString();
    history.replaceState(null, '', `${path === '' ? '#/sessions' : path}${search === '' ? '' : `?${search}`}`);
    this.place = parseRoute(location.hash);
  }
}

export const router = new Router();
