//! Which connections count: `--filter KEY=VALUE`.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use linger_wire::trace::Connection;

use super::kind::Kind;

/// A condition on a connection, such as `port=443`. It prints as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    text: String,
    key: Key,
    /// One of them must hold.
    values: Vec<Value>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Address,
    Client,
    Server,
    Port,
    ClientPort,
    Kind,
    Number,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Value {
    Network(Network),
    Port(u16),
    Kind(Kind),
    Number(u64),
}

/// Addresses with the same first bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u8,
}

impl Key {
    const ALL: [Self; 7] =
        [Self::Address, Self::Client, Self::Server, Self::Port, Self::ClientPort, Self::Kind, Self::Number];

    fn name(self) -> &'static str {
        match self {
            Self::Address => "address",
            Self::Client => "client",
            Self::Server => "server",
            Self::Port => "port",
            Self::ClientPort => "client_port",
            Self::Kind => "kind",
            Self::Number => "number",
        }
    }

    fn value(self, text: &str) -> Result<Value, String> {
        match self {
            Self::Address | Self::Client | Self::Server => text.parse().map(Value::Network),
            Self::Port | Self::ClientPort => match text.parse() {
                Ok(port) if port > 0 => Ok(Value::Port(port)),
                _ => Err(format!("{text:?} is not a port from 1 to 65535")),
            },
            Self::Kind => Kind::of_key(text).map(Value::Kind).ok_or_else(|| {
                let kinds = Kind::ALL.map(Kind::key).join(", ");
                format!("{text:?} is not a kind: there are {kinds}")
            }),
            Self::Number => text
                .parse()
                .map(Value::Number)
                .map_err(|_| format!("{text:?} is not the number of a connection")),
        }
    }
}

impl Filter {
    fn lets_pass(&self, connection: &Connection) -> bool {
        let (client, server) = (connection.client, connection.server);
        self.values.iter().any(|value| match (self.key, value) {
            (Key::Address, Value::Network(network)) => {
                network.contains(client.ip()) || network.contains(server.ip())
            }
            (Key::Client, Value::Network(network)) => network.contains(client.ip()),
            (Key::Server, Value::Network(network)) => network.contains(server.ip()),
            (Key::Port, Value::Port(port)) => server.port() == *port,
            (Key::ClientPort, Value::Port(port)) => client.port() == *port,
            (Key::Kind, Value::Kind(kind)) => Kind::of(connection) == *kind,
            (Key::Number, Value::Number(number)) => connection.number == *number,
            // A key has values of its own kind.
            (_, Value::Network(_) | Value::Port(_) | Value::Kind(_) | Value::Number(_)) => false,
        })
    }
}

/// Whether these filters let a connection pass: for each key that they have, one of its values must hold.
#[must_use]
pub fn lets_pass(filters: &[Filter], connection: &Connection) -> bool {
    Key::ALL.into_iter().all(|key| {
        let mut of_key = filters.iter().filter(|filter| filter.key == key).peekable();
        of_key.peek().is_none() || of_key.any(|filter| filter.lets_pass(connection))
    })
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let keys = || Key::ALL.map(Key::name).join(", ");
        let (name, values) = text
            .split_once('=')
            .ok_or_else(|| format!("a filter is KEY=VALUE, and the keys are {}", keys()))?;
        let name = name.trim().replace('-', "_");
        let key = Key::ALL.into_iter().find(|key| key.name() == name);
        let key = key.ok_or_else(|| format!("{name:?} is not a key: the keys are {}", keys()))?;
        let values = values.split(',').map(|value| key.value(value.trim()));
        Ok(Self { text: text.to_owned(), key, values: values.collect::<Result<_, _>>()? })
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.bits)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.bits)).unwrap_or(0);
                own.to_bits() & mask == other.to_bits() & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("{text:?} is neither an address, such as 192.0.2.1, nor a network, such as 10.0.0.0/8")
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = address.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
        let address = address.map_err(|_| wrong())?.to_canonical();
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits.map(str::parse) {
            None => most,
            Some(Ok(bits)) if bits <= most => bits,
            Some(_) => return Err(wrong()),
        };
        Ok(Self { address, bits })
    }
}
