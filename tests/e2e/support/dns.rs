//! A name server for the names of our servers, as the headless Service is in a cluster: one name, an address for each
//! replica. KEDA asks it because `scalerAddress` says so: `dns://127.0.0.1:PORT/NAME:PORT`.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::sync::{Arc, Mutex};

use tokio::net::UdpSocket;

/// Names and their addresses, served as long as the process lives. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Names {
    addresses: Arc<Mutex<HashMap<String, Vec<Ipv4Addr>>>>,
    port: u16,
}

const HEADER_BYTES: usize = 12;
const TYPE_A: [u8; 2] = [0, 1];
const ANSWER_AND_RECURSION: [u8; 2] = [0x81, 0x80];
const NO_SUCH_NAME: u8 = 3;
/// The name of the question, `A`, `IN`, 0 seconds to live, four bytes.
const ANSWER_START: [u8; 12] = [0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4];

impl Names {
    pub(crate) async fn start() -> std::io::Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        let names = Self { addresses: Arc::default(), port: socket.local_addr()?.port() };
        tokio::spawn(names.clone().serve(socket));
        Ok(names)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// From now on `name` has these addresses.
    pub(crate) fn set(&self, name: &str, addresses: Vec<Ipv4Addr>) {
        self.addresses.lock().unwrap().insert(name.to_owned(), addresses);
    }

    async fn serve(self, socket: UdpSocket) {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question).await {
            if let Some(answer) = self.answer(&question[..length]) {
                let _ = socket.send_to(&answer, from).await;
            }
        }
    }

    fn answer(&self, message: &[u8]) -> Option<Vec<u8>> {
        let (name, end) = name_of(message)?;
        let question = message.get(HEADER_BYTES..end + 4)?;
        let known = self.addresses.lock().unwrap().get(&name).cloned();
        let found =
            known.as_deref().filter(|_| message.get(end..end + 2) == Some(&TYPE_A)).unwrap_or_default();
        let mut answer = message[..2].to_vec();
        answer.extend(ANSWER_AND_RECURSION);
        answer[3] |= if known.is_none() { NO_SUCH_NAME } else { 0 };
        answer.extend([0, 1, 0, u8::try_from(found.len()).ok()?, 0, 0, 0, 0]);
        answer.extend(question);
        for address in found {
            answer.extend(ANSWER_START);
            answer.extend(address.octets());
        }
        Some(answer)
    }
}

/// The name that is asked for, and where its type begins.
fn name_of(message: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = HEADER_BYTES;
    loop {
        let length = usize::from(*message.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        labels.push(String::from_utf8_lossy(message.get(at..at + length)?).to_lowercase());
        at += length;
    }
}
