// A position in the stream of events: `<epoch>-<offset>`.

export interface Position {
  epoch: string;
  offset: number;
}

export function parsePosition(text: string): Position {
  const dash = text.lastIndexOf('-');
  return { epoch: dash < 0 ? '' : text.slice(0, dash), offset: Number(text.slice(dash + 1)) };
}

export function formatPosition({ epoch, offset }: Position): string {
  return epoch === '' ? String(offset) : `${epoch}-${offset}`;
}
