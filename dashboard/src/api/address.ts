// URL of the service: taken from `?api=`, or from the saved setting, or else the origin of the page.

const SETTING = 'api';

/** Error for a value that is not a valid service URL. The message is shown to the user. */
export class WrongAddress extends TypeError {
  constructor(
    given: string,
    /** Whether the value comes from the page's URL and not from the settings. */
    readonly inPage: boolean,
  ) {
    const where = inPage ? 'The service URL in ?api=' : 'The saved service URL';
    super(
      `${where} is invalid: “${given}”. Use a URL that starts with http:// or https://, or a path on this page's own ` +
        'server such as /, without a user name or password.',
    );
    this.name = 'WrongAddress';
  }
}

/**
 * Returns the service's URL for a page at `page`; throws a `WrongAddress` if the given value is not valid.
 */
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

/** Saves a URL for later visits; '' removes it. The page must be reloaded for it to take effect. */
export function keepAddress(address: string): void {
  if (address === '') localStorage.removeItem(SETTING);
  else localStorage.setItem(SETTING, address);
}
