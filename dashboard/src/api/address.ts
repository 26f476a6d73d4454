// Where the service is: where the page came from, or `?api=`, or what was set before.

const SETTING = 'api';

/** What was given is no address of a service; the message is for whoever reads the page. */
export class WrongAddress extends TypeError {
  constructor(
    given: string,
    /** Whether it stands in the page's address rather than in the settings. */
    readonly inPage: boolean,
  ) {
    const where = inPage ? 'The address of the service in ?api=' : 'The address of the service that was set here';
    super(
      `${where} is not one: “${given}”. It begins with http:// or https://, or is a path on this page's own server ` +
        'such as /, and has no user name or password in it.',
    );
    this.name = 'WrongAddress';
  }
}

/** The service's address for a page at `page`; throws a `WrongAddress` if what is given is none. */
export function serviceAddress(page: URL, setting: string | null): URL {
  const inPage = page.searchParams.get('api');
  const given = inPage ?? setting;
  if (!given) return new URL('/', page);
  if (!URL.canParse(given, page)) throw new WrongAddress(given, inPage !== null);
  const address = new URL(given, page);
  const isWeb = address.protocol === 'http:' || address.protocol === 'https:';
  if (!isWeb || address.username !== '' || address.password !== '') throw new WrongAddress(given, inPage !== null);
  address.search = '';
  address.hash = '';
  if (!address.pathname.endsWith('/')) address.pathname += '/';
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
