//! The two formats of AES-256-GCM on disk: sealed values and wrapped keys.
//!
//! ```text
//! sealed value  version 1 | key id 4 BE | nonce 12 | ciphertext | tag 16
//!   bound to    version 1 | table 2 BE | account 16 BE | field 2 BE | key id 4 BE
//! wrapped key   nonce 12 | ciphertext 32 | tag 16
//!   bound to    version 1 | account 16 BE | key id 4 BE
//! ```
//!
//! What a value is bound to has a fixed width, so no two places spell the same bytes. Nonces are
//! random; one key seals at most 2²⁰ values, far below the 2³² that random nonces allow.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead, KeyInit, Payload};
use zeroize::Zeroizing;

use super::error::KeyError;
use super::secret::Secret;

const VERSION: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;
/// Version and key id.
const HEAD: usize = 5;

/// Bytes of a wrapped data key.
pub(super) const WRAPPED: usize = NONCE + 32 + TAG;

/// Where a sealed value belongs. It opens nowhere else.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) table: u16,
    pub(super) account: u128,
    pub(super) field: u16,
}

impl Place {
    fn bind(self, key_id: u32) -> [u8; 25] {
        let mut out = [0; 25];
        out[0] = VERSION;
        out[1..3].copy_from_slice(&self.table.to_be_bytes());
        out[3..19].copy_from_slice(&self.account.to_be_bytes());
        out[19..21].copy_from_slice(&self.field.to_be_bytes());
        out[21..].copy_from_slice(&key_id.to_be_bytes());
        out
    }
}

/// Seals `plain` for one place.
pub(super) fn seal(key: &Secret, key_id: u32, place: Place, plain: &[u8]) -> Result<Vec<u8>, KeyError> {
    let nonce = nonce()?;
    let sealed = encrypt(key, &nonce, &place.bind(key_id), plain);
    let mut out = Vec::with_capacity(HEAD + NONCE + sealed.len());
    out.push(VERSION);
    out.extend_from_slice(&key_id.to_be_bytes());
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&sealed);
    Ok(out)
}

/// The id of the key that sealed a value; none if it is no sealed value of this format.
pub(super) fn key_id(sealed: &[u8]) -> Option<u32> {
    let head: [u8; HEAD] = sealed.get(..HEAD)?.try_into().ok()?;
    (head[0] == VERSION && sealed.len() >= HEAD + NONCE + TAG)
        .then(|| u32::from_be_bytes([head[1], head[2], head[3], head[4]]))
}

/// Opens what [`seal`] made for the same place; none for anything else.
pub(super) fn open(key: &Secret, place: Place, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let bound = place.bind(key_id(sealed)?);
    decrypt(key, &sealed[HEAD..], &bound).map(Zeroizing::new)
}

/// Wraps a data key under the key encryption key.
pub(super) fn wrap(kek: &Secret, account: u128, id: u32, key: &Secret) -> Result<[u8; WRAPPED], KeyError> {
    let nonce = nonce()?;
    let sealed = encrypt(kek, &nonce, &bind_key(account, id), key.expose());
    let mut out = [0; WRAPPED];
    out[..NONCE].copy_from_slice(&nonce);
    out[NONCE..].copy_from_slice(&sealed);
    Ok(out)
}

/// Opens a wrapped data key.
pub(super) fn unwrap(kek: &Secret, account: u128, id: u32, wrapped: &[u8]) -> Option<Secret> {
    let plain = Zeroizing::new(decrypt(kek, wrapped, &bind_key(account, id))?);
    if plain.len() != 32 {
        return None;
    }
    Secret::with(|key| {
        key.copy_from_slice(&plain);
        Ok::<_, ()>(())
    })
    .ok()
}

fn bind_key(account: u128, id: u32) -> [u8; 21] {
    let mut out = [0; 21];
    out[0] = VERSION;
    out[1..17].copy_from_slice(&account.to_be_bytes());
    out[17..].copy_from_slice(&id.to_be_bytes());
    out
}

fn nonce() -> Result<[u8; NONCE], KeyError> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(KeyError::Random)?;
    Ok(nonce)
}

fn encrypt(key: &Secret, nonce: &[u8; NONCE], aad: &[u8], msg: &[u8]) -> Vec<u8> {
    Aes256Gcm::new(key.expose().into())
        .encrypt(nonce.into(), Payload { msg, aad })
        .expect("AES-GCM refuses only messages of 64 GiB and more")
}

/// `sealed` begins with the nonce.
fn decrypt(key: &Secret, sealed: &[u8], aad: &[u8]) -> Option<Vec<u8>> {
    let (nonce, msg) = sealed.split_first_chunk::<NONCE>()?;
    Aes256Gcm::new(key.expose().into()).decrypt(nonce.into(), Payload { msg, aad }).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.chars().filter_map(|c| c.to_digit(16)).map(|d| d.try_into().unwrap()).collect();
        digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
    }

    fn key(bytes: &[u8]) -> Secret {
        Secret::with(|out| {
            out.copy_from_slice(bytes);
            Ok::<_, ()>(())
        })
        .unwrap()
    }

    const HERE: Place = Place { table: 3, account: 0x0102, field: 7 };

    #[test]
    fn the_cipher_is_aes_256_gcm_of_the_published_vectors() {
        // McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 14 and 16.
        let zero = key(&[0; 32]);
        assert_eq!(
            encrypt(&zero, &[0; 12], &[], &[0; 16]),
            hex("cea7403d4d606b6e074ec5d3baf39d18 d0d1c8a799996bf0265b98b5d48ab919")
        );
        let key = key(&hex("feffe9928665731c6d6a8f9467308308 feffe9928665731c6d6a8f9467308308"));
        let nonce: [u8; 12] = hex("cafebabefacedbaddecaf888").try_into().unwrap();
        let aad = hex("feedfacedeadbeeffeedfacedeadbeef abaddad2");
        let plain = hex("d9313225f88406e5a55909c5aff5269a 86a7a9531534f7da2e4c303d8a318a72
             1c3c0c95956809532fcf0e2449a6b525 b16aedf5aa0de657ba637b39");
        let sealed = hex("522dc1f099567d07f47f37a32a84427d 643a8cdcbfe5c0c97598a2bd2555d1aa
             8cb08e48590dbb3da7b08b1056828838 c5f61e6393ba7a0abcc9f662
             76fc6ece0f4e1768cddf8853bb2d551b");
        assert_eq!(encrypt(&key, &nonce, &aad, &plain), sealed);
        assert_eq!(decrypt(&key, &[&nonce[..], &sealed].concat(), &aad).unwrap(), plain);
    }

    #[test]
    fn the_layout_on_disk_is_the_documented_one() {
        let sealed = seal(&key(&[1; 32]), 0x0a0b_0c0d, HERE, b"token").unwrap();
        assert_eq!(sealed.len(), 1 + 4 + 12 + 5 + 16);
        assert_eq!(sealed[..5], [1, 0x0a, 0x0b, 0x0c, 0x0d]);
        let mut bound = vec![1, 0, 3];
        bound.extend([0; 14]);
        bound.extend([1, 2, 0, 7, 0x0a, 0x0b, 0x0c, 0x0d]);
        assert_eq!(HERE.bind(0x0a0b_0c0d)[..], bound);
        assert_eq!(decrypt(&key(&[1; 32]), &sealed[5..], &bound).unwrap(), b"token");
    }

    #[test]
    fn every_bit_of_a_sealed_value_counts() {
        let key = key(&[1; 32]);
        let sealed = seal(&key, 9, HERE, b"a token").unwrap();
        assert_eq!(open(&key, HERE, &sealed).unwrap().as_slice(), b"a token");
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(open(&key, HERE, &changed).is_none(), "bit {bit}");
        }
        for cut in 0..sealed.len() {
            assert!(open(&key, HERE, &sealed[..cut]).is_none(), "cut at {cut}");
        }
        assert!(open(&key, HERE, &[&sealed[..], b"\0"].concat()).is_none());
    }

    #[test]
    fn nothing_repeats_when_the_same_value_is_sealed_again() {
        let key = key(&[1; 32]);
        let nonces: std::collections::HashSet<_> =
            (0..10_000).map(|_| seal(&key, 1, HERE, b"x").unwrap()[5..17].to_vec()).collect();
        assert_eq!(nonces.len(), 10_000);
    }

    #[test]
    fn a_wrapped_key_opens_for_its_own_account_and_id_alone() {
        let (kek, data) = (key(&[1; 32]), key(&[2; 32]));
        let wrapped = wrap(&kek, 5, 6, &data).unwrap();
        assert_eq!(unwrap(&kek, 5, 6, &wrapped).unwrap().expose(), data.expose());
        assert!(unwrap(&kek, 5, 7, &wrapped).is_none() && unwrap(&kek, 6, 6, &wrapped).is_none());
        assert!(unwrap(&data, 5, 6, &wrapped).is_none());
    }
}
