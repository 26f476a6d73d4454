//! Lists and logs as JSON arrays, written while their pieces arrive.

use bytes::Bytes;
use futures_util::StreamExt as _;

use crate::sessions::{ByteStream, PieceStream, RecordStream};

/// Writes an item behind the bytes that are there.
type WriteItem<T> = fn(&mut Vec<u8>, &T);

/// Streams `before`, the items as an array, and `after`.
pub(super) fn list<T: 'static>(
    items: PieceStream<Vec<T>>,
    before: Vec<u8>,
    after: Vec<u8>,
    write: WriteItem<T>,
) -> ByteStream {
    let mut any = false;
    let write_all = move |out: &mut Vec<u8>, items: Vec<T>| {
        for item in items {
            if std::mem::replace(&mut any, true) {
                out.push(b',');
            }
            write(out, &item);
        }
    };
    array(items, before, after, write_all)
}

/// Streams `before`, and the records as an array. They are stored lines with commas between them and
/// pass through unchanged.
pub(super) fn records(records: RecordStream, before: Vec<u8>) -> ByteStream {
    array(records, before, Vec::new(), |out, lines| {
        if out.is_empty() {
            *out = lines;
        } else {
            out.extend_from_slice(&lines);
        }
    })
}

fn array<T: 'static>(
    pieces: PieceStream<T>,
    mut before: Vec<u8>,
    mut after: Vec<u8>,
    mut write: impl FnMut(&mut Vec<u8>, T) + 'static,
) -> ByteStream {
    before.push(b'[');
    Box::pin(pieces.map(move |piece| {
        let piece = piece?;
        // Only the first piece has something before it.
        let mut out = std::mem::take(&mut before);
        write(&mut out, piece.content);
        if piece.is_last {
            out.push(b']');
            out.append(&mut after);
        }
        Ok(Bytes::from(out))
    }))
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;
    use crate::sessions::Piece;

    fn pieces<T: 'static>(of: Vec<T>) -> PieceStream<T> {
        let last = of.len() - 1;
        let pieces = of.into_iter().enumerate().map(move |(n, content)| {
            let is_last = n == last;
            Ok(Piece { content, is_last })
        });
        Box::pin(stream::iter(pieces.collect::<Vec<_>>()))
    }

    async fn all(stream: ByteStream) -> Vec<String> {
        let texts = stream.map(|piece| String::from_utf8(piece.unwrap().to_vec()).unwrap());
        texts.collect().await
    }

    #[actix_web::test]
    async fn items_are_separated_across_pieces_and_empty_pieces_add_no_comma() {
        let items = pieces(vec![vec![1], vec![], vec![2, 3]]);
        let write = |out: &mut Vec<u8>, n: &i32| out.extend_from_slice(n.to_string().as_bytes());
        let written = all(list(items, b"{\"a\":".to_vec(), b"}".to_vec(), write)).await;
        assert_eq!(written, ["{\"a\":[1", "", ",2,3]}"]);
    }

    #[actix_web::test]
    async fn an_empty_list_is_one_piece() {
        let write = |_: &mut Vec<u8>, (): &()| {};
        let written = all(list(pieces(vec![vec![]]), Vec::new(), Vec::new(), write)).await;
        assert_eq!(written, ["[]"]);
    }

    #[actix_web::test]
    async fn records_pass_through_as_they_are() {
        let lines = pieces(vec![b"{\"seq\":1}".to_vec(), b",{\"seq\":2}".to_vec()]);
        let written = all(records(lines, Vec::new())).await;
        assert_eq!(written, ["[{\"seq\":1}", ",{\"seq\":2}]"]);
    }
}
