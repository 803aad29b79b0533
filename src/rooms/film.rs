//! A small film made here, for the demonstration: real pictures in H.264 that any player shows, so that
//! a network (or its stand-in) gets what it would get from a camera, and no film lies in the program.
//!
//! Each second begins with a whole picture: its first row of blocks is written pixel by pixel, and every
//! block below continues the one above, which makes a gradient out of few bytes. The pictures in between
//! say "as before". The syntax is that of ITU-T H.264 (baseline, CAVLC), the container that of
//! ISO/IEC 14496-12 and -15.

/// Upright, nine to sixteen, and whole blocks of sixteen pixels: no edge has to be cut off.
pub(super) const WIDTH: u32 = 576;
pub(super) const HEIGHT: u32 = 1024;
/// Pictures a second.
const RATE: u32 = 24;
/// A block's edge in pixels.
const BLOCK: u32 = 16;
/// The matrix that leaves pictures as they are.
const AS_IT_IS: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];

/// Bits, first one first.
#[derive(Default)]
struct Bits {
    bytes: Vec<u8>,
    /// Bits of the last byte that are taken, 0 to 7.
    used: u32,
}

impl Bits {
    fn bit(&mut self, on: bool) {
        if self.used == 0 {
            self.bytes.push(0);
        }
        if let Some(last) = self.bytes.last_mut() {
            *last |= u8::from(on) << (7 - self.used);
        }
        self.used = (self.used + 1) % 8;
    }

    fn fixed(&mut self, value: u32, count: u32) {
        for at in (0..count).rev() {
            self.bit(value >> at & 1 == 1);
        }
    }

    /// Exp-Golomb codes, as many as there are numbers (H.264, 9.1). For signed ones, 0 is 0 too.
    fn golomb(&mut self, values: &[u32]) {
        for value in values {
            let count = (value + 1).ilog2();
            self.fixed(0, count);
            self.fixed(value + 1, count + 1);
        }
    }

    fn align(&mut self) {
        self.used = 0;
    }

    /// A unit of the stream: its head, and no three bytes in it that look like the begin of another.
    fn unit(mut self, head: u8) -> Vec<u8> {
        self.bit(true);
        let (mut unit, mut zeros) = (vec![head], 0);
        for byte in self.bytes {
            if zeros >= 2 && byte <= 3 {
                unit.push(3);
                zeros = 0;
            }
            zeros = if byte == 0 { zeros + 1 } else { 0 };
            unit.push(byte);
        }
        unit
    }
}

/// What a decoder must know of the whole stream.
fn sequence() -> Vec<u8> {
    let mut bits = Bits::default();
    // Baseline, level 3.1.
    bits.bytes.extend([66, 0xc0, 31]);
    // Ids and counters; pictures are shown in the order they come; one is looked back to.
    bits.golomb(&[0, 0, 2, 1]);
    bits.bit(false);
    bits.golomb(&[WIDTH / BLOCK - 1, HEIGHT / BLOCK - 1]);
    // Whole pictures, no half blocks; nothing cut off; nothing else said.
    bits.fixed(0b1100, 4);
    bits.unit(0x67)
}

/// What it must know of each picture.
fn picture() -> Vec<u8> {
    let mut bits = Bits::default();
    bits.golomb(&[0, 0]);
    bits.fixed(0, 2);
    bits.golomb(&[0, 0, 0]);
    bits.fixed(0, 3);
    bits.golomb(&[0, 0, 0]);
    // The filter at the edges of blocks can be switched off.
    bits.fixed(0b100, 3);
    bits.unit(0x68)
}

/// A whole picture: a gradient from left to right, in colours that change with `second`.
fn whole(second: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.golomb(&[0, 7, 0]);
    bits.fixed(0, 4);
    bits.golomb(&[second % 2]);
    bits.fixed(0, 2);
    bits.golomb(&[0, 1]);
    let shade = |from: u32, to: u32, x: u32| {
        // Never 0: the standard keeps it out of written pixels.
        u8::try_from((from * (WIDTH - x) + to * x) / WIDTH).unwrap_or(u8::MAX).max(1)
    };
    let (warm, cool) = (200 - second * 20, 90 + second * 20);
    for column in 0..WIDTH / BLOCK {
        bits.golomb(&[25]);
        bits.align();
        let at = column * BLOCK;
        for _ in 0..BLOCK {
            bits.bytes.extend((0..BLOCK).map(|x| shade(70, 210, at + x)));
        }
        for (from, to) in [(cool, 110), (warm, 140)] {
            for _ in 0..BLOCK / 2 {
                bits.bytes.extend((0..BLOCK / 2).map(|x| shade(from, to, at + 2 * x)));
            }
        }
    }
    for row in 1..HEIGHT / BLOCK {
        for _ in 0..WIDTH / BLOCK {
            // Brightness and colour go on from above, at the same quality, with nothing added. How the
            // "nothing" is written depends on the blocks around: below written pixels it is longer.
            bits.golomb(&[1, 2, 0]);
            if row == 1 { bits.fixed(0b00_0011, 6) } else { bits.bit(true) }
        }
    }
    bits.unit(0x65)
}

/// The picture before, once more.
fn as_before(number: u32) -> Vec<u8> {
    let mut bits = Bits::default();
    bits.golomb(&[0, 5, 0]);
    bits.fixed(number % 16, 4);
    bits.fixed(0, 3);
    bits.golomb(&[0, 1, WIDTH / BLOCK * (HEIGHT / BLOCK)]);
    bits.unit(0x41)
}

fn length(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

fn be(numbers: &[u32]) -> Vec<u8> {
    numbers.iter().flat_map(|it| it.to_be_bytes()).collect()
}

/// A box of the container.
fn atom(kind: [u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    [&(length(&content) + 8).to_be_bytes()[..], &kind, &content].concat()
}

/// A silent film of so many seconds, at most five, as MP4 with its index first.
pub(super) fn film(seconds: u32) -> Vec<u8> {
    let pictures: Vec<Vec<u8>> = (0..seconds * RATE)
        .map(|n| if n % RATE == 0 { whole(n / RATE) } else { as_before(n % RATE) })
        .map(|unit| [&length(&unit).to_be_bytes()[..], &unit].concat())
        .collect();
    let head = atom(*b"ftyp", &[b"isom", &be(&[0x200]), b"isomiso2avc1mp41"]);
    let data = atom(*b"mdat", &[&pictures.concat()]);
    // The index says where the pictures are, and comes before them.
    let before = length(&head) + length(&index(seconds, &pictures, 0)) + 8;
    [head, index(seconds, &pictures, before), data].concat()
}

fn index(seconds: u32, pictures: &[Vec<u8>], first: u32) -> Vec<u8> {
    let (sequence, picture) = (sequence(), picture());
    let half = |it: &[u8]| [&length(it).to_be_bytes()[2..], it].concat();
    let decoder = [&[1, 66, 0xc0, 31, 0xff, 0xe1][..], &half(&sequence), &[1], &half(&picture)].concat();
    let size = be(&[WIDTH << 16 | HEIGHT]);
    let look = [&[0; 6][..], &[0, 1], &[0; 16], &size, &be(&[0x48_0000, 0x48_0000, 0, 1 << 16]), &[0; 30]];
    let entry = atom(*b"avc1", &[&look.concat(), &[0, 0x18, 0xff, 0xff], &atom(*b"avcC", &[&decoder])]);
    let count = u32::try_from(pictures.len()).unwrap_or(u32::MAX);
    let sizes: Vec<u32> = pictures.iter().map(|it| length(it)).collect();
    let begins: Vec<u32> = (0..seconds).map(|second| second * RATE + 1).collect();
    let table = atom(
        *b"stbl",
        &[
            &atom(*b"stsd", &[&be(&[0, 1]), &entry]),
            &atom(*b"stts", &[&be(&[0, 1, count, 1])]),
            &atom(*b"stss", &[&be(&[0, seconds]), &be(&begins)]),
            &atom(*b"stsc", &[&be(&[0, 1, 1, count, 1])]),
            &atom(*b"stsz", &[&be(&[0, 0, count]), &be(&sizes)]),
            &atom(*b"stco", &[&be(&[0, 1, first])]),
        ],
    );
    let here = atom(*b"dinf", &[&atom(*b"dref", &[&be(&[0, 1]), &atom(*b"url ", &[&be(&[1])])])]);
    let info = atom(*b"minf", &[&atom(*b"vmhd", &[&be(&[1, 0, 0])]), &here, &table]);
    let handler = atom(*b"hdlr", &[&be(&[0, 0]), b"vide", &[0; 12], b"pictures\0"]);
    let clock = atom(*b"mdhd", &[&be(&[0, 0, 0, RATE, count]), &[0x55, 0xc4, 0, 0]]);
    let media = atom(*b"mdia", &[&clock, &handler, &info]);
    let lasts = seconds * 1000;
    let shown = be(&[WIDTH << 16, HEIGHT << 16]);
    let track = atom(*b"tkhd", &[&be(&[3, 0, 0, 1, 0, lasts, 0, 0, 0, 0]), &be(&AS_IT_IS), &shown]);
    let whole = [&be(&[0, 0, 0, 1000, lasts, 0x1_0000])[..], &[1, 0], &[0; 10]].concat();
    let film = atom(*b"mvhd", &[&whole, &be(&AS_IT_IS), &[0; 24], &be(&[2])]);
    atom(*b"moov", &[&film, &atom(*b"trak", &[&track, &media])])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_leads_to_every_picture() {
        let film = film(3);
        let place = |kind: &[u8]| film.windows(4).position(|it| it == kind).unwrap() + 4;
        let number = |at: usize| u32::from_be_bytes(film[at..at + 4].try_into().unwrap()) as usize;
        let (sizes, count) = (place(b"stsz") + 12, number(place(b"stsz") + 8));
        assert_eq!(count, 72);
        let mut at = number(place(b"stco") + 8);
        assert_eq!(at, place(b"mdat"));
        for n in 0..count {
            let size = number(sizes + 4 * n);
            assert_eq!(number(at) + 4, size, "picture {n}");
            assert_eq!(film[at + 4], if n % 24 == 0 { 0x65 } else { 0x41 }, "picture {n}");
            at += size;
        }
        assert_eq!(at, film.len());
        assert!(film.len() < 80_000, "{}", film.len());
    }

    #[test]
    fn numbers_are_written_as_the_standard_shows_them() {
        let mut bits = Bits::default();
        bits.golomb(&[0, 1, 2, 3, 7]);
        // 1 010 011 00100 0001000
        assert_eq!((bits.bytes, bits.used), (vec![0b1010_0110, 0b0100_0001, 0b0000_0000], 3));
        let mut bits = Bits::default();
        bits.bytes.extend([0, 0, 1, 0, 0, 0]);
        assert_eq!(bits.unit(0x65), [0x65, 0, 0, 3, 1, 0, 0, 3, 0, 0x80], "no begin of another unit");
    }
}
