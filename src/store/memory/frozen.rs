use bytes::{BufMut, Bytes, BytesMut};

use super::image::Image;
use super::{MemoryDisk, StoreState, place};
use crate::store::objects::check_range;
use crate::store::{Direction, Frozen, KeyRange, ObjectReader, Operation, Space, StoreError};

/// The one file that a store in memory is frozen into: space u8, then key and value, each with its length u32 before it.
const FILE: &str = "image";

struct FrozenImage {
    bytes: Bytes,
}

struct FrozenReader {
    bytes: Bytes,
}

impl MemoryDisk {
    /// The store as it is now, as a file.
    pub fn frozen(&self) -> Result<Box<dyn Frozen>, StoreError> {
        let image = match &self.lock().store {
            Some(store) => store.image.clone(),
            None => return Err(StoreError::Missing { path: place() }),
        };
        let mut bytes = BytesMut::new();
        for (number, space) in (0..).zip(Space::ALL) {
            for pair in image.scan(space, KeyRange::all(), Direction::Forward) {
                let (key, value) = pair?;
                bytes.put_u8(number);
                for part in [key, value] {
                    bytes.put_u32(u32::try_from(part.len()).unwrap_or(u32::MAX));
                    bytes.put(part);
                }
            }
        }
        let bytes = bytes.freeze();
        Ok(Box::new(FrozenImage { bytes }))
    }

    /// Makes the store that was frozen into `bytes`, or says [`StoreError::Exists`].
    pub fn create_store_from(&self, bytes: &Bytes) -> Result<(), StoreError> {
        let operations = decode(bytes.clone()).ok_or_else(|| StoreError::Damaged {
            what: format!("{FILE} is cut short"),
            file: Some(FILE.to_owned()),
        })?;
        let mut disk = self.lock();
        if disk.store.is_some() {
            return Err(StoreError::Exists { path: place() });
        }
        let mut image = Image::default();
        image.apply(&operations);
        disk.store = Some(StoreState {
            image,
            ..StoreState::default()
        });
        Ok(())
    }
}

fn decode(mut bytes: Bytes) -> Option<Vec<Operation>> {
    let mut operations = Vec::new();
    while let Some(number) = bytes.first().copied() {
        let space = *Space::ALL.get(usize::from(number))?;
        let _ = bytes.split_to(1);
        let (key, value) = (part(&mut bytes)?, part(&mut bytes)?);
        operations.push(Operation {
            space,
            key,
            value: Some(value),
        });
    }
    Some(operations)
}

fn part(bytes: &mut Bytes) -> Option<Bytes> {
    let length = u32::from_be_bytes(*bytes.first_chunk()?);
    let _ = bytes.split_to(4);
    let length = usize::try_from(length).ok()?;
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

impl Frozen for FrozenImage {
    fn files(&self) -> Result<Vec<String>, StoreError> {
        Ok(vec![FILE.to_owned()])
    }

    fn open(&self, name: &str) -> Result<Box<dyn ObjectReader>, StoreError> {
        if name != FILE {
            return Err(StoreError::Missing {
                path: place().join(name),
            });
        }
        let bytes = self.bytes.clone();
        Ok(Box::new(FrozenReader { bytes }))
    }
}

impl ObjectReader for FrozenReader {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }

    fn read_at(&self, offset: u64, length: usize) -> Result<Bytes, StoreError> {
        check_range(offset, length, self.len(), &place().join(FILE))?;
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        Ok(self.bytes.slice(start..start.saturating_add(length)))
    }
}
