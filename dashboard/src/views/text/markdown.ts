// Markdown as a tree of our own types, which components render as elements. HTML in it is text.

import { Marked, type Token, type Tokens } from 'marked';

export type Inline =
  | { kind: 'text' | 'code'; text: string }
  | { kind: 'strong' | 'emphasis' | 'strike'; inner: Inline[] }
  | { kind: 'link'; href: string; inner: Inline[] }
  /** A link or an image that is not loaded: `target` is only shown. */
  | { kind: 'reference'; target: string; inner: Inline[] }
  | { kind: 'break' };

export type Block =
  | { kind: 'paragraph'; inner: Inline[] }
  | { kind: 'heading'; level: number; inner: Inline[] }
  | { kind: 'code'; language: string; text: string }
  | { kind: 'quote'; blocks: Block[] }
  | { kind: 'list'; start: number | null; items: { done: boolean | null; blocks: Block[] }[] }
  | { kind: 'table'; aligns: ('left' | 'center' | 'right' | null)[]; head: Inline[][]; rows: Inline[][][] }
  | { kind: 'rule' };

/** Deeper structures are shown as text. */
const DEEPEST = 12;
/** A text with more nested marks than this is not written by people; reading them takes long. */
const MOST_MARKS = 400;

const marked = new Marked({ gfm: true, breaks: true });

export function parseMarkdown(text: string): Block[] {
  if (isExcessive(text)) return [{ kind: 'paragraph', inner: [{ kind: 'text', text }] }];
  try {
    return blocksOf(marked.lexer(text), 0);
  } catch {
    // A parser that gives up must not hide the text.
    return [{ kind: 'paragraph', inner: [{ kind: 'text', text }] }];
  }
}

/** Whether a line has so many marks that their pairs would take long to find. */
function isExcessive(text: string): boolean {
  return new RegExp(`(?:[[*_~\`<>!\\\\-][^\\n]{0,3}){${MOST_MARKS}}|(?:\\n[ \\t]*[>*+-]){${MOST_MARKS * 5}}`).test(
    text,
  );
}

function blocksOf(tokens: Token[], depth: number): Block[] {
  return tokens.flatMap((token) => blockOf(token, depth));
}

function blockOf(token: Token, depth: number): Block[] {
  if (depth > DEEPEST) return [{ kind: 'paragraph', inner: [{ kind: 'text', text: token.raw }] }];
  switch (token.type) {
    case 'space':
    case 'def':
      return [];
    case 'hr':
      return [{ kind: 'rule' }];
    case 'code':
      return [{ kind: 'code', language: ((token as Tokens.Code).lang ?? '').split(/\s/)[0] ?? '', text: token.text }];
    case 'heading':
      return [{ kind: 'heading', level: token.depth, inner: inlineOf(token.tokens ?? [], depth) }];
    case 'blockquote':
      return [{ kind: 'quote', blocks: blocksOf(token.tokens ?? [], depth + 1) }];
    case 'list':
      return [listOf(token as Tokens.List, depth)];
    case 'table':
      return [tableOf(token as Tokens.Table, depth)];
    case 'paragraph':
    case 'text':
      return [{ kind: 'paragraph', inner: inlineOf(token.tokens ?? [token], depth) }];
    default:
      return [{ kind: 'paragraph', inner: [{ kind: 'text', text: token.raw.trimEnd() }] }];
  }
}

function listOf(list: Tokens.List, depth: number): Block {
  const items = list.items.map((item) => ({
    done: item.task ? (item.checked ?? false) : null,
    blocks: blocksOf(
      item.tokens.filter(({ type }) => type !== 'checkbox'),
      depth + 1,
    ),
  }));
  return { kind: 'list', start: list.ordered ? Number(list.start) : null, items };
}

function tableOf(table: Tokens.Table, depth: number): Block {
  const cells = (row: Tokens.TableCell[]): Inline[][] => row.map(({ tokens }) => inlineOf(tokens, depth + 1));
  return { kind: 'table', aligns: table.align, head: cells(table.header), rows: table.rows.map(cells) };
}

function inlineOf(tokens: Token[], depth: number): Inline[] {
  return tokens.flatMap((token) => spanOf(token, depth));
}

const WRAPS: Record<string, 'strong' | 'emphasis' | 'strike'> = { strong: 'strong', em: 'emphasis', del: 'strike' };

function spanOf(token: Token, depth: number): Inline[] {
  const wrap = WRAPS[token.type];
  const inner = (): Inline[] => inlineOf('tokens' in token ? (token.tokens ?? []) : [], depth + 1);
  if (depth > DEEPEST) return [{ kind: 'text', text: token.raw }];
  if (wrap) return [{ kind: wrap, inner: inner() }];
  switch (token.type) {
    case 'br':
      return [{ kind: 'break' }];
    case 'codespan':
      return [{ kind: 'code', text: token.text }];
    case 'link': {
      const href = safeHref(token.href);
      return [
        href === null
          ? { kind: 'reference', target: token.href, inner: inner() }
          : { kind: 'link', href, inner: inner() },
      ];
    }
    case 'image':
      // An image would be fetched from another host.
      return [
        {
          kind: 'reference',
          target: token.href,
          inner: [{ kind: 'text', text: `[image: ${token.text || token.href}]` }],
        },
      ];
    case 'text':
      return token.tokens ? inner() : [{ kind: 'text', text: decoded(token.text) }];
    case 'escape':
      return [{ kind: 'text', text: token.text }];
    default:
      return [{ kind: 'text', text: token.raw }];
  }
}

/** An address that may be opened: of the web, or of a mailbox. Null for any other. */
export function safeHref(href: string): string | null {
  try {
    const url = new URL(href);
    return ['http:', 'https:', 'mailto:'].includes(url.protocol) ? url.href : null;
  } catch {
    return null;
  }
}

const NAMED: Record<string, string> = {
  amp: '&',
  lt: '<',
  gt: '>',
  quot: '"',
  apos: "'",
  nbsp: '\u00a0',
  hellip: '…',
  mdash: '—',
  ndash: '–',
  rarr: '→',
  larr: '←',
  copy: '©',
  times: '×',
};

/** Replaces character references; one that is not known stays as it is. */
function decoded(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#(\d{1,7})|([a-z]{2,6}));/gi, (whole, hex, decimal, name: string) => {
    if (name !== undefined) return Object.hasOwn(NAMED, name) ? (NAMED[name] ?? whole) : whole;
    const code = hex === undefined ? Number(decimal) : parseInt(String(hex), 16);
    return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000) ? String.fromCodePoint(code) : whole;
  });
}
