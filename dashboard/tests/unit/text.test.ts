import { describe, expect, it } from 'vitest';
import { piecesOf } from '../../src/views/text/characters';
import { parseMarkdown, safeHref, type Block, type Inline } from '../../src/views/text/markdown';
import { patchOf, replaced, type Patch } from '../../src/views/text/patch';
import { linesOf, type Style } from '../../src/views/text/terminal';
import type { Json } from '../../src/wire/json';

const ESC = '\x1b';
const plain = (output: string): string[] => linesOf(output).map((line) => line.map(({ text }) => text).join(''));
const styles = (output: string): [string, Style][] =>
  linesOf(output).flatMap((line) => line.map(({ text, style }): [string, Style] => [text, style]));

describe('output of a program', () => {
  it('is what a terminal would show', () => {
    const cases: [string, string[]][] = [
      ['', ['']],
      ['a\nb\n', ['a', 'b']],
      ['a\r\nb', ['a', 'b']],
      ['10%\r50%\r100%\ndone', ['100%', 'done']],
      ['12345\rab', ['ab345']],
      [`12345\r${ESC}[Kab`, ['ab']],
      [`12345${ESC}[2K\rab`, ['ab   ']],
      ['abc\b\bX', ['aXc']],
      ['\b\b\ba', ['a']],
      ['tab\there', ['tab\there']],
      [`${ESC}[2J${ESC}[1;1Hclear`, ['clear']],
      [`${ESC}]0;title\x07text`, ['text']],
      [`${ESC}]8;;http://x${ESC}\\link${ESC}]8;;${ESC}\\`, ['link']],
      [`${ESC}]52;c;never ends`, ['']],
      [`${ESC}(Bcharset`, ['charset']],
      [`${ESC}[?25lhidden cursor${ESC}[?25h`, ['hidden cursor']],
      [`${ESC}[<0;1;1mnot a colour`, ['not a colour']],
      ['bell\x07 null\0', ['bell^G null^@']],
      ['\u202egpj.exe', ['U+202Egpj.exe']],
      ['zero\u200bwidth', ['zeroU+200Bwidth']],
      [`cut${ESC}`, ['cut^[']],
      [`cut${ESC}[31`, ['cut^[[31']],
      ['😀😀\r😎', ['😎😀']],
    ];
    for (const [output, shown] of cases) expect(plain(output), JSON.stringify(output)).toEqual(shown);
  });

  it('has the colours and attributes that it asks for', () => {
    const red: Style = { fg: { kind: 'named', number: 1 } };
    const cases: [string, [string, Style][]][] = [
      [
        `${ESC}[31mred${ESC}[0m not`,
        [
          ['red', red],
          [' not', {}],
        ],
      ],
      [
        `${ESC}[31mred${ESC}[mnot`,
        [
          ['red', red],
          ['not', {}],
        ],
      ],
      [
        `${ESC}[1;31mx${ESC}[22my`,
        [
          ['x', { bold: true, ...red }],
          ['y', red],
        ],
      ],
      [`${ESC}[3;4;7;9mx`, [['x', { italic: true, underline: true, inverse: true, strike: true }]]],
      [
        `${ESC}[97;101mx${ESC}[39my`,
        [
          ['x', { fg: { kind: 'named', number: 15 }, bg: { kind: 'named', number: 9 } }],
          ['y', { bg: { kind: 'named', number: 9 } }],
        ],
      ],
      [`${ESC}[38;5;196mx`, [['x', { fg: { kind: 'rgb', value: 'rgb(255 0 0)' } }]]],
      [`${ESC}[38;5;9mx`, [['x', { fg: { kind: 'named', number: 9 } }]]],
      [`${ESC}[48;5;232mx`, [['x', { bg: { kind: 'rgb', value: 'rgb(8 8 8)' } }]]],
      [`${ESC}[38;2;1;2;3;1mx`, [['x', { fg: { kind: 'rgb', value: 'rgb(1 2 3)' }, bold: true }]]],
      [`${ESC}[38:2::1:2:3mx`, [['x', { fg: { kind: 'rgb', value: 'rgb(1 2 3)' } }]]],
      [`${ESC}[38;5;999mx`, [['x', {}]]],
      [`${ESC}[38;2;1;2;900mx`, [['x', {}]]],
      [
        `${ESC}[38mx${ESC}[123mx`,
        [
          ['x', {}],
          ['x', {}],
        ],
      ],
    ];
    for (const [output, shown] of cases) expect(styles(output), JSON.stringify(output)).toEqual(shown);
  });

  it('loses no visible character, whatever the sequences', () => {
    const parts = ['a', 'é', '😀', `${ESC}[31m`, `${ESC}[0m`, `${ESC}[38;5;200m`, '\n', '\t', '\x07', '\u202e'];
    let state = 7;
    for (let n = 0; n < 300; n += 1) {
      const chosen = Array.from({ length: 30 }, () => {
        state = (Math.imul(state, 1103515245) + 12345) >>> 0;
        return parts[(state >>> 8) % parts.length] as string;
      });
      const visible = chosen.filter((part) => !part.startsWith(ESC)).join('');
      const shown = linesOf(chosen.join(''))
        .map((line) => line.map(({ text }) => text).join(''))
        .join('\n');
      expect(shown).toBe(visible.replace(/\n$/, '').replaceAll('\x07', '^G').replaceAll('\u202e', 'U+202E'));
    }
  });

  it('of any length is read in linear time', () => {
    const long = `${ESC}[31mx`.repeat(50_000) + '\r'.repeat(50_000) + `${ESC}]`.repeat(20_000);
    const from = performance.now();
    linesOf(long);
    expect(performance.now() - from).toBeLessThan(30_000);
  });
});

describe('characters that cannot be seen', () => {
  it('are marked, and all others are as they are', () => {
    expect(piecesOf('plain\ttext\n')).toEqual([{ text: 'plain\ttext\n', isMark: false }]);
    expect(piecesOf('')).toEqual([]);
    expect(piecesOf('a\u202eb\0')).toEqual([
      { text: 'a', isMark: false },
      { text: 'U+202E', isMark: true },
      { text: 'b', isMark: false },
      { text: '^@', isMark: true },
    ]);
    expect(piecesOf('עברית 😀 e\u0301')).toEqual([{ text: 'עברית 😀 e\u0301', isMark: false }]);
  });
});

/** A patch as text: a sign and the line. */
const shown = (patch: Patch | null): string[] | null =>
  patch && patch.lines.map(({ kind, text }) => ({ added: '+', removed: '-', same: ' ', place: '@' })[kind] + text);

describe('the changes of a file', () => {
  it('are read from any of the forms that agents write', () => {
    const cases: [Json, string[] | null, number, number][] = [
      ['@@ -1,2 +1,2 @@\n a\n-b\n+c', ['@@@ -1,2 +1,2 @@', ' a', '-b', '+c'], 1, 1],
      [
        '--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n--- old\n+++ new\n+more\n',
        ['@--- a/x', '@+++ b/x', '@@@ -1 +1,2 @@', '--- old', '+++ new', '+more'],
        2,
        1,
      ],
      [
        '@@ -1 +1 @@\n-a\n+b\n\\ No newline at end of file',
        ['@@@ -1 +1 @@', '-a', '+b', '@\\ No newline at end of file'],
        1,
        1,
      ],
      [[{ oldStart: 3, newStart: 4, lines: [' a', '-b', '+c', '+d'] }], ['@@@ -3 +4 @@', ' a', '-b', '+c', '+d'], 2, 1],
      [{ hunks: [{ lines: ['+a'] }] }, ['+a'], 1, 0],
      ['no diff at all', [' no diff at all'], 0, 0],
      ['', null, 0, 0],
      [[{ lines: 'x' }], null, 0, 0],
      [[], null, 0, 0],
      [7, null, 0, 0],
    ];
    for (const [diff, lines, added, removed] of cases) {
      const patch = patchOf(diff);
      expect(shown(patch), JSON.stringify(diff)).toEqual(lines);
      expect([patch?.added ?? 0, patch?.removed ?? 0], JSON.stringify(diff)).toEqual([added, removed]);
    }
  });

  it('are what differs between two texts, with a little around it', () => {
    expect(shown(replaced('1\n2\n3\n4\nold\n5\n', '1\n2\n3\n4\nnew\nmore\n5\n'))).toEqual([
      ' 2',
      ' 3',
      ' 4',
      '-old',
      '+new',
      '+more',
      ' 5',
    ]);
    expect(shown(replaced('', 'a\n'))).toEqual(['+a']);
    expect(shown(replaced('a', ''))).toEqual(['-a']);
    expect(shown(replaced('a\na', 'a\na\na'))).toEqual([' a', ' a', '+a']);
  });
});

/** Markdown's tree as text with its structure. */
function outline(blocks: Block[]): string {
  const inline = (spans: Inline[]): string =>
    spans
      .map((span) => {
        if (span.kind === 'break') return '<br>';
        if (!('inner' in span)) return span.kind === 'text' ? span.text : `code(${span.text})`;
        if (span.kind === 'link') return `link(${span.href}|${inline(span.inner)})`;
        if (span.kind === 'reference') return `ref(${span.target}|${inline(span.inner)})`;
        return `${span.kind}(${inline(span.inner)})`;
      })
      .join('');
  return blocks
    .map((block) => {
      switch (block.kind) {
        case 'paragraph':
          return `p(${inline(block.inner)})`;
        case 'heading':
          return `h${block.level}(${inline(block.inner)})`;
        case 'code':
          return `pre(${block.language}|${block.text})`;
        case 'quote':
          return `quote(${outline(block.blocks)})`;
        case 'list':
          return `list${block.start ?? ''}(${block.items.map(({ done, blocks }) => `${done ?? ''}:${outline(blocks)}`).join(',')})`;
        case 'table':
          return `table(${[block.head, ...block.rows].map((row) => row.map(inline).join('|')).join('/')})`;
        case 'rule':
          return 'rule';
      }
    })
    .join(' ');
}

describe('markdown', () => {
  it('becomes a tree of our own', () => {
    const cases: [string, string][] = [
      ['plain', 'p(plain)'],
      ['**b** _i_ ~~s~~ `c`', 'p(strong(b) emphasis(i) strike(s) code(c))'],
      ['one\ntwo', 'p(one<br>two)'],
      ['# One\n\n### Three', 'h1(One) h3(Three)'],
      ['```ts x=1\nlet a = "<b>";\n```', 'pre(ts|let a = "<b>";)'],
      ['- a\n- b\n  1. c', 'list(:p(a),:p(b) list1(:p(c)))'],
      ['- [x] done\n- [ ] not', 'list(true:p(done),false:p(not))'],
      ['> quoted\n> more', 'quote(p(quoted<br>more))'],
      ['| a | b |\n|---|--:|\n| 1 | `2` |', 'table(a|b/1|code(2))'],
      ['a\n\n---\n\nb', 'p(a) rule p(b)'],
      ['https://example.com/x', 'p(link(https://example.com/x|https://example.com/x))'],
      ['[t](https://example.com "title")', 'p(link(https://example.com/|t))'],
      ['AT&amp;T &lt;b&gt; &#65; &unknown;', 'p(AT&T <b> A &unknown;)'],
      ['\\*not\\*', 'p(*not*)'],
      ['', ''],
    ];
    for (const [text, tree] of cases) expect(outline(parseMarkdown(text)), text).toBe(tree);
  });

  it('makes nothing of HTML, and opens no dangerous or foreign address', () => {
    const cases: [string, string][] = [
      ['<script>alert(1)</script>', 'p(<script>alert(1)</script>)'],
      ['a <img src=x onerror=alert(1)> b', 'p(a <img src=x onerror=alert(1)> b)'],
      ['[x](javascript:alert(1))', 'p(ref(javascript:alert(1)|x))'],
      ['[x](JaVaScRiPt:alert(1))', 'p(ref(JaVaScRiPt:alert(1)|x))'],
      ['[x](data:text/html,<b>)', 'p(ref(data:text/html,<b>|x))'],
      ['[x](vbscript:x)', 'p(ref(vbscript:x|x))'],
      ['[x](//evil.example)', 'p(ref(//evil.example|x))'],
      ['[x](src/a.ts)', 'p(ref(src/a.ts|x))'],
      ['![pixel](https://evil.example/p.gif)', 'p(ref(https://evil.example/p.gif|[image: pixel]))'],
      ['<https://example.com>', 'p(link(https://example.com/|https://example.com))'],
      ['<javascript:alert(1)>', 'p(ref(javascript:alert(1)|javascript:alert(1)))'],
    ];
    for (const [text, tree] of cases) expect(outline(parseMarkdown(text)), text).toBe(tree);
    expect(safeHref('mailto:a@b.c')).toBe('mailto:a@b.c');
    expect(safeHref(' java\nscript:alert(1)')).toBeNull();
    expect(safeHref('file:///etc/passwd')).toBeNull();
  });

  it('is read in a moment, even if it is made to take long', { timeout: 60_000 }, () => {
    const hostile = [
      '[',
      '*',
      '_',
      '`',
      '~',
      '> ',
      '- ',
      '[](',
      '![',
      '<a ',
      '&#',
      '**a ',
      '*a_',
      '| ',
      '\\',
      '[a][',
      '<!--',
      '1. ',
    ];
    for (const mark of hostile)
      for (const text of [
        mark.repeat(20_000 / mark.length),
        `${mark}\n`.repeat(20_000 / (mark.length + 1)),
        `${mark}x `.repeat(5000),
      ]) {
        const from = performance.now();
        const blocks = parseMarkdown(text);
        expect(performance.now() - from, JSON.stringify(mark)).toBeLessThan(30_000);
        expect(blocks.length, JSON.stringify(mark)).toBeGreaterThanOrEqual(0);
      }
    const nested = Array.from({ length: 300 }, (_, n) => `${'  '.repeat(n)}- x`).join('\n');
    expect(outline(parseMarkdown(nested)).length).toBeGreaterThan(300);
  });
});
