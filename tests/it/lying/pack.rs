//! Packs and lists of references that no git would write.

use openssl::sha::sha1;

/// A line of git's protocol.
pub(super) fn line(text: &[u8]) -> Vec<u8> {
    [format!("{:04x}", text.len() + 4).as_bytes(), text].concat()
}

/// A list of references of a server, `name` and id each.
pub(super) fn refs<'a>(refs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut out = [line(b"# service=git-upload-pack\n").as_slice(), b"0000"].concat();
    let mut capabilities = "\0side-band-64k ofs-delta thin-pack";
    for (name, id) in refs {
        out.extend(line(format!("{id} {name}{capabilities}\n").as_bytes()));
        capabilities = "";
    }
    out.extend(b"0000");
    out
}

/// A pack as a server sends it: in lines of the first side band.
pub(super) fn sent(pack: &[u8]) -> Vec<u8> {
    let mut out = line(b"NAK\n");
    for part in pack.chunks(60_000) {
        out.extend(line(&[b"\x01", part].concat()));
    }
    out.extend(b"0000");
    out
}

/// A pack of these entries, with its checksum.
pub(super) fn pack(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut pack = b"PACK\0\0\0\x02".to_vec();
    pack.extend(u32::try_from(entries.len()).unwrap().to_be_bytes());
    pack.extend(entries.concat());
    pack.extend(sha1(&pack));
    pack
}

/// The beginning of an entry: its type and the size that it claims.
pub(super) fn head(kind: u8, size: u64) -> Vec<u8> {
    let mut byte = kind << 4 | u8::try_from(size & 15).unwrap();
    let mut rest = size >> 4;
    let mut out = Vec::new();
    while rest > 0 {
        out.push(byte | 0x80);
        byte = u8::try_from(rest & 0x7f).unwrap();
        rest >>= 7;
    }
    out.push(byte);
    out
}

/// A blob.
pub(super) fn blob(bytes: &[u8]) -> Vec<u8> {
    [head(3, bytes.len() as u64), deflated(bytes)].concat()
}

/// A delta against an object by its id.
pub(super) fn delta(base: &[u8; 20], instructions: &[u8]) -> Vec<u8> {
    [head(7, instructions.len() as u64), base.to_vec(), deflated(instructions)].concat()
}

/// The id of a blob.
pub(super) fn blob_id(bytes: &[u8]) -> [u8; 20] {
    sha1(&[format!("blob {}\0", bytes.len()).as_bytes(), bytes].concat())
}

/// A number of a delta's head.
pub(super) fn number(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(u8::try_from(value & 0x7f).unwrap() | 0x80);
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap());
    out
}

/// Bytes in zlib's format, not compressed.
pub(super) fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x78, 0x01];
    let blocks = bytes.chunks(65_535).count().max(1);
    for index in 0..blocks {
        let block = bytes.chunks(65_535).nth(index).unwrap_or_default();
        let size = u16::try_from(block.len()).unwrap();
        out.push(u8::from(index + 1 == blocks));
        out.extend(size.to_le_bytes());
        out.extend((!size).to_le_bytes());
        out.extend(block);
    }
    let (mut a, mut b) = (1_u32, 0_u32);
    for byte in bytes {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    out.extend((b << 16 | a).to_be_bytes());
    out
}
