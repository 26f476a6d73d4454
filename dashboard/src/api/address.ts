// Where the service is: where the page came from, or `?api=`, or what was set before.

const SETTING = 'api';

/** The service's address for a page at `page`; throws if what is given is no http address. */
export function serviceAddress(page: URL, setting: string | null): URL {
  const given = page.searchParams.get('api') ?? setting;
  if (!given) return new URL('/', page);
  const address = new URL(given.endsWith('/') ? given : `${given}/`, page);
  if (address.protocol !== 'http:' && address.protocol !== 'https:')
    throw new TypeError(`not an http address: ${given}`);
  return address;
}

export function setAddress(): string | null {
  return localStorage.getItem(SETTING);
}

/** Keeps an address for later visits; '' forgets it. The page has to be loaded anew. */
export function keepAddress(address: string): void {
  if (address === '') localStorage.removeItem(SETTING);
  else localStorage.setItem(SETTING, address);
}
