//! Makes pcapng files.

/// Blocks of one byte order.
pub(super) struct Blocks {
    big_endian: bool,
    pub(super) bytes: Vec<u8>,
}

impl Blocks {
    pub(super) fn little() -> Self {
        Self { big_endian: false, bytes: Vec::new() }
    }

    pub(super) fn big() -> Self {
        Self { big_endian: true, bytes: Vec::new() }
    }

    pub(super) fn n16(&self, number: u16) -> [u8; 2] {
        if self.big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    pub(super) fn n32(&self, number: u32) -> [u8; 4] {
        if self.big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    pub(super) fn n64(&self, number: u64) -> [u8; 8] {
        if self.big_endian { number.to_be_bytes() } else { number.to_le_bytes() }
    }

    /// A block of any type.
    pub(super) fn block(&mut self, kind: u32, body: &[u8]) -> &mut Self {
        let mut body = body.to_vec();
        body.resize(body.len().next_multiple_of(4), 0);
        let length = self.n32(u32::try_from(body.len() + 12).expect("it is short"));
        self.bytes.extend([&self.n32(kind)[..], &length, &body, &length].concat());
        self
    }

    pub(super) fn option(&self, code: u16, value: &[u8]) -> Vec<u8> {
        let length = u16::try_from(value.len()).expect("it is short");
        let mut option = [&self.n16(code)[..], &self.n16(length), value].concat();
        option.resize(option.len().next_multiple_of(4), 0);
        option
    }

    pub(super) fn section(&mut self) -> &mut Self {
        let body = [&self.n32(0x1a2b_3c4d)[..], &self.n16(1), &self.n16(0), &[0xff; 8]].concat();
        self.block(0x0a0d_0d0a, &body)
    }

    /// An interface with options of these codes.
    pub(super) fn interface(&mut self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) -> &mut Self {
        let mut body = [&self.n16(link)[..], &[0, 0], &self.n32(snaplen)].concat();
        for (code, value) in options {
            body.extend(self.option(*code, value));
        }
        self.block(1, &body)
    }

    pub(super) fn enhanced(&mut self, interface: u32, ticks: u64, length: u32, bytes: &[u8]) -> &mut Self {
        self.enhanced_with(interface, ticks, length, bytes, &[])
    }

    /// An enhanced packet with these options.
    pub(super) fn enhanced_with(
        &mut self,
        interface: u32,
        ticks: u64,
        length: u32,
        bytes: &[u8],
        options: &[u8],
    ) -> &mut Self {
        let captured = u32::try_from(bytes.len()).expect("it is short");
        let [high, low] = [ticks >> 32, ticks & 0xffff_ffff].map(|half| u32::try_from(half).expect("a half"));
        let mut body = [interface, high, low, captured, length].map(|number| self.n32(number)).concat();
        body.extend(bytes);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend(options);
        self.block(6, &body)
    }
}
