use super::*;
use ottla_wire::api::api_versions::ApiVersion;
use ottla_wire::api::metadata::{MetadataRequest, MetadataResponse};
use tokio::net::TcpListener;

/// What a broker of one test does with a request: the body of its answer, or nothing.
type Answer = fn(&RequestHeader, &mut Decoder) -> Option<Vec<u8>>;

async fn broker(answer: Answer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        loop {
            let Ok(len) = stream.read_u32().await else { return };
            let mut frame = vec![0; len as usize];
            stream.read_exact(&mut frame).await.unwrap();
            let mut d = Decoder::new(Bytes::from(frame));
            let (_, header) = RequestHeader::decode_at_start(&mut d).unwrap();
            if let Some(bytes) = answer(&header, &mut d) {
                let mut out = u32::try_from(bytes.len()).unwrap().to_be_bytes().to_vec();
                out.extend(bytes);
                stream.write_all(&out).await.unwrap();
            }
        }
    });
    address
}

fn encode<M: Message>(
    header: &RequestHeader,
    key: ApiKey,
    version: i16,
    body: &M,
) -> Option<Vec<u8>> {
    let mut e = Encoder::new();
    let response = ResponseHeader { correlation_id: header.correlation_id };
    response.encode(&mut e, key.spec().response_header(version)).unwrap();
    body.encode(&mut e, version).unwrap();
    Some(e.into_bytes().unwrap().to_vec())
}

fn versions(header: &RequestHeader, max: i16) -> Option<Vec<u8>> {
    let key = |api: ApiKey, min, max| ApiVersion {
        api_key: api as i16,
        min_version: min,
        max_version: max,
    };
    let keys = vec![key(ApiKey::ApiVersions, 0, max), key(ApiKey::Metadata, 1, 5)];
    let mut response = ApiVersionsResponse { api_keys: keys, ..Default::default() };
    if header.request_api_version > max {
        response.error_code = ErrorCode::UNSUPPORTED_VERSION;
        return encode(header, ApiKey::ApiVersions, 0, &response);
    }
    encode(header, ApiKey::ApiVersions, header.request_api_version, &response)
}

fn metadata(header: &RequestHeader) -> Option<Vec<u8>> {
    let response = MetadataResponse {
        cluster_id: Some("here".to_owned()),
        controller_id: 4,
        ..Default::default()
    };
    encode(header, ApiKey::Metadata, header.request_api_version, &response)
}

fn options() -> Options {
    let mut options = Options::new("localhost:1", "test").unwrap();
    options.request_timeout = Duration::from_secs(5);
    options
}

async fn open(answer: Answer) -> Result<Connection, ClientError> {
    Connection::open(&broker(answer).await, &options()).await
}

#[tokio::test]
async fn versions_are_agreed_with_a_broker_of_any_age() {
    let answers: [Answer; 3] = [
        |header, _| {
            if header.request_api_key == 18 { versions(header, 4) } else { metadata(header) }
        },
        |header, _| {
            if header.request_api_key == 18 { versions(header, 2) } else { metadata(header) }
        },
        |header, _| {
            if header.request_api_key == 18 { versions(header, 0) } else { metadata(header) }
        },
    ];
    for answer in answers {
        let connection = open(answer).await.unwrap();
        let any = Versions::new(0, i16::MAX);
        assert_eq!(connection.version(ApiKey::Metadata, any).unwrap(), 5);
        assert_eq!(connection.version(ApiKey::Metadata, Versions::new(0, 3)).unwrap(), 3);
        assert!(connection.version(ApiKey::Metadata, Versions::new(6, 9)).is_err());
        assert!(connection.version(ApiKey::Fetch, any).is_err());
        let metadata = connection.send(&MetadataRequest::default()).await.unwrap();
        assert_eq!(metadata.cluster_id.as_deref(), Some("here"));
    }
}

#[tokio::test]
async fn many_requests_share_a_connection() {
    let connection =
        open(
            |header, _| {
                if header.request_api_key == 18 { versions(header, 4) } else { metadata(header) }
            },
        );
    let connection = Arc::new(connection.await.unwrap());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..3 * MAX_IN_FLIGHT {
        let connection = Arc::clone(&connection);
        tasks.spawn(async move {
            connection.send(&MetadataRequest::default()).await.unwrap().controller_id
        });
    }
    assert_eq!(tasks.join_all().await, vec![4; 3 * MAX_IN_FLIGHT]);
    assert!(!connection.is_closed());
}

#[tokio::test]
async fn an_answer_that_nobody_asked_for_ends_the_connection() {
    let connection = open(|header, _| {
        let mut header = header.clone();
        if header.request_api_key == 18 {
            return versions(&header, 4);
        }
        header.correlation_id += 1;
        metadata(&header)
    });
    let connection = connection.await.unwrap();
    let error = connection.send(&MetadataRequest::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::Disconnected { .. }), "{error}");
    assert!(connection.is_closed());
}

#[tokio::test]
async fn silence_ends_the_connection() {
    let address =
        broker(|header, _| if header.request_api_key == 18 { versions(header, 4) } else { None })
            .await;
    let options = Options { request_timeout: Duration::from_millis(100), ..options() };
    let connection = Connection::open(&address, &options).await.unwrap();
    let error = connection.send(&MetadataRequest::default()).await.unwrap_err();
    assert!(matches!(error, ClientError::NoAnswer { api: "Metadata", .. }), "{error}");
    assert!(connection.is_closed());
}

#[tokio::test]
async fn sizes_that_cannot_be_end_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&(-1_i32).to_be_bytes()).await.unwrap();
        let mut all = Vec::new();
        let _ = stream.read_to_end(&mut all).await;
    });
    let error = Connection::open(&address, &options()).await.unwrap_err();
    assert!(error.to_string().contains("of a size that cannot be"), "{error}");
}

#[tokio::test]
async fn nobody_at_home() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    let error = Connection::open(&free, &options()).await.unwrap_err();
    assert!(matches!(error, ClientError::Connect { .. }) && error.is_retriable(), "{error}");
}
