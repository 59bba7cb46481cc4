"""A server on loopback that speaks the OpenAI protocol, and misbehaves.

    with OpenAIServer() as server:
        server.faults += [rate_limited(0.2), SERVER_ERROR, CUT]
        client = openai.OpenAI(base_url=server.url, api_key=server.key)
        ...
        assert len(server.requests) == 4

Chat completions and embeddings are functions of their input alone. The first
requests get the faults of the list, in order; `fault_for` decides from the
request instead. Every request is logged with its answer's status.
"""

import base64
import hashlib
import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Fault:
    """What is wrong with one answer."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None  # sent instead of the right answer
    content: str | None = None  # what the chat model says instead
    delay: float = 0.0  # seconds before the answer
    cut: bool = False  # half of the answer, then the connection closes
    dimension: int | None = None  # of the embeddings
    missing: int = 0  # embeddings that are left out


def rate_limited(retry_after: float | None = None) -> Fault:
    headers = {} if retry_after is None else {'Retry-After': str(retry_after)}
    return Fault(429, headers, '{"error": {"message": "Rate limit reached"}}')


def slow(seconds: float) -> Fault:
    return Fault(delay=seconds)


def wrong_dimension(dimension: int) -> Fault:
    return Fault(dimension=dimension)


SERVER_ERROR = Fault(500, body='{"error": {"message": "The server failed"}}')
CUT = Fault(cut=True)
INVALID_JSON = Fault(body='{"choices": [{"mess')


@dataclass
class Request:
    path: str
    body: dict[str, Any]
    key: str
    time: float
    status: int = 0

    @property
    def prompt(self) -> str:
        return str(self.body['messages'][-1]['content'])


class OpenAIServer:
    def __init__(
        self,
        key: str = 'sk-loopback-0123456789abcdef',
        models: tuple[str, ...] = ('chat', 'embed'),
        dimension: int = 8,
        reply: Callable[[str], str] | None = None,
    ) -> None:
        self.key = key
        self.models = models
        self.dimension = dimension
        self.reply = reply or profile_reply
        self.faults: list[Fault] = []
        self.fault_for: Callable[[Request], Fault | None] = lambda request: None
        self.requests: list[Request] = []
        self.in_flight = self.max_in_flight = 0
        self.lock = threading.Lock()
        self._http = _Server(('127.0.0.1', 0), _Handler)
        self._http.owner = self
        self.url = f'http://127.0.0.1:{self._http.server_port}/v1'

    def __enter__(self) -> 'OpenAIServer':
        serve = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        serve.daemon = True
        serve.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self._http.shutdown()
        self._http.server_close()

    def answer(self, request: Request) -> tuple[Fault, str]:
        with self.lock:
            self.requests.append(request)
            chosen = self.fault_for(request)
            if chosen is None and self.faults:
                chosen = self.faults.pop(0)
        fault = chosen or Fault()
        model = request.body.get('model')
        if request.key != self.key:
            # Hostile on purpose: real servers echo parts of a wrong key.
            return _error(401, f'Incorrect API key provided: {request.key}')
        if fault.body is not None:
            return fault, fault.body
        if model not in self.models:
            return _error(404, f"The model '{model}' does not exist")
        if request.path.endswith('/chat/completions'):
            return fault, json.dumps(self._chat(request, fault))
        if request.path.endswith('/embeddings'):
            return fault, json.dumps(self._embed(request.body, fault))
        return _error(404, f'No such path {request.path}')

    def _chat(self, request: Request, fault: Fault) -> dict[str, Any]:
        messages = request.body['messages']
        text = fault.content
        text = self.reply(request.prompt) if text is None else text
        prompt_tokens = sum(len(m['content'].split()) for m in messages)
        completion_tokens = len(text.split())
        return {
            'id': 'chatcmpl-1',
            'object': 'chat.completion',
            'created': 0,
            'model': request.body['model'],
            'choices': [
                {
                    'index': 0,
                    'finish_reason': 'stop',
                    'message': {'role': 'assistant', 'content': text},
                }
            ],
            'usage': {
                'prompt_tokens': prompt_tokens,
                'completion_tokens': completion_tokens,
                'total_tokens': prompt_tokens + completion_tokens,
            },
        }

    def _embed(self, body: dict[str, Any], fault: Fault) -> dict[str, Any]:
        texts = body['input']
        texts = [texts] if isinstance(texts, str) else texts
        width = fault.dimension or body.get('dimensions') or self.dimension
        vectors = [embedding(text, width) for text in texts]
        if body.get('encoding_format') == 'base64':
            rows = [base64.b64encode(v.tobytes()).decode() for v in vectors]
        else:
            rows = [v.tolist() for v in vectors]
        return {
            'object': 'list',
            'model': body['model'],
            'data': [
                {'object': 'embedding', 'index': n, 'embedding': row}
                for n, row in enumerate(rows[: len(rows) - fault.missing])
            ],
            'usage': {'prompt_tokens': 1, 'total_tokens': 1},
        }


def profile_reply(prompt: str) -> str:
    """What the chat model says by default: a profile of the prompt."""
    digest = hashlib.sha256(prompt.encode()).hexdigest()[:12]
    return json.dumps({'profile': f'likes {digest}', 'reasoning': 'a hash'})


def embedding(text: str, dimension: int) -> np.ndarray:
    """The unit vector that the server answers for a text, in float32."""
    seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], 'big')
    x = np.random.default_rng(seed).normal(size=dimension)
    return (x / np.linalg.norm(x)).astype('<f4')


def _error(status: int, message: str) -> tuple[Fault, str]:
    return Fault(status), json.dumps({'error': {'message': message}})


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    owner: OpenAIServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # clients of these tests are killed in the middle of requests


class _Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    # One packet an answer: two of them wait for delayed acknowledgements.
    wbufsize = -1
    server: _Server

    def do_POST(self) -> None:
        owner = self.server.owner
        length = int(self.headers['Content-Length'])
        body = json.loads(self.rfile.read(length))
        key = self.headers.get('Authorization', '').removeprefix('Bearer ')
        request = Request(self.path, body, key, time.monotonic())
        with owner.lock:
            owner.in_flight += 1
            owner.max_in_flight = max(owner.max_in_flight, owner.in_flight)
        try:
            fault, text = owner.answer(request)
            time.sleep(fault.delay)
        finally:
            with owner.lock:
                owner.in_flight -= 1
        request.status = fault.status
        self._send(fault, text.encode())

    def _send(self, fault: Fault, data: bytes) -> None:
        self.send_response(fault.status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(data)))
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.end_headers()
        if fault.cut:
            self.wfile.write(data[: len(data) // 2])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(data)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        pass
