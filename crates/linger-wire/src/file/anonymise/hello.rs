//! Which bytes of a TLS hello stay.

/// Goes through the first handshake message of a direction, byte by byte.
///
/// A `ClientHello` keeps its type, length and version, by which TLS is recognised. A `ServerHello` keeps its
/// structure, what it says of versions, and the cipher suite. Everything else goes.
#[derive(Debug)]
pub(super) struct Hello {
    field: Field,
    /// How many bytes of the field are still to come.
    left: usize,
    /// The number that the field holds, as far as it has come.
    value: u32,
    is_server: bool,
    /// How many bytes of the message are still to come, or may be looked at.
    message: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Kind,
    Length,
    Version,
    Random,
    SessionIdLength,
    SessionId,
    Suite,
    Compression,
    ExtensionsLength,
    ExtensionKind,
    ExtensionLength,
    SupportedVersion,
    OtherExtension,
    /// What follows is of no interest.
    Rest,
}

impl Hello {
    /// Whether the next byte stays.
    pub(super) fn keeps(&mut self, byte: u8) -> bool {
        if self.field == Field::Rest || self.message == 0 {
            return false;
        }
        self.message -= 1;
        if self.field == Field::Kind {
            self.is_server = byte == SERVER_HELLO;
            let is_hello = self.is_server || byte == CLIENT_HELLO;
            self.begin(if is_hello { Field::Length } else { Field::Rest }, 3);
            return is_hello;
        }
        let keeps = match self.field {
            Field::Random | Field::SessionId | Field::OtherExtension | Field::Kind | Field::Rest => false,
            Field::Length
            | Field::Version
            | Field::SessionIdLength
            | Field::Suite
            | Field::Compression
            | Field::ExtensionsLength
            | Field::ExtensionKind
            | Field::ExtensionLength
            | Field::SupportedVersion => true,
        };
        self.value = self.value << 8 | u32::from(byte);
        self.left -= 1;
        while self.left == 0 && self.field != Field::Rest {
            self.advance();
        }
        keeps
    }

    /// No more of it comes, or bytes are missing.
    pub(super) fn end(&mut self) {
        self.field = Field::Rest;
    }

    fn begin(&mut self, field: Field, length: usize) {
        (self.field, self.left) = (field, length);
        // The type of an extension is needed when its length is known.
        if field != Field::ExtensionLength {
            self.value = 0;
        }
    }

    /// The field is over: goes to the next.
    fn advance(&mut self) {
        let value = self.value as usize;
        match self.field {
            Field::Length => {
                self.message = value.min(LIMIT);
                self.begin(Field::Version, 2);
            }
            Field::Version if self.is_server => self.begin(Field::Random, 32),
            Field::Random => self.begin(Field::SessionIdLength, 1),
            Field::SessionIdLength => self.begin(Field::SessionId, value),
            Field::SessionId => self.begin(Field::Suite, 2),
            Field::Suite => self.begin(Field::Compression, 1),
            Field::Compression => self.begin(Field::ExtensionsLength, 2),
            Field::ExtensionsLength => {
                self.message = self.message.min(value);
                self.begin(Field::ExtensionKind, 2);
            }
            Field::ExtensionKind => self.begin(Field::ExtensionLength, 2),
            Field::ExtensionLength => {
                let is_version = self.value == SUPPORTED_VERSIONS << 16 | 2;
                let field = if is_version { Field::SupportedVersion } else { Field::OtherExtension };
                self.begin(field, value & 0xffff);
            }
            Field::SupportedVersion | Field::OtherExtension => self.begin(Field::ExtensionKind, 2),
            Field::Kind | Field::Version | Field::Rest => self.begin(Field::Rest, 0),
        }
    }
}

impl Default for Hello {
    fn default() -> Self {
        Self { field: Field::Kind, left: 1, value: 0, is_server: false, message: LIMIT }
    }
}

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const SUPPORTED_VERSIONS: u32 = 43;
/// As much of a message as the reader looks at.
const LIMIT: usize = 4096;
