"""Redact: no secret is left in what is shown or stored, and nothing else is taken out."""

from __future__ import annotations

import time

import pytest

from evergreen.errors import InputError
from evergreen.redact import expand, holds_secret, redact, redact_all, redact_code, redact_error

SECRET = "Zq7hunter"
TEXTS = [
    f"postgresql://me:{SECRET}@host:5432/db refused",
    f"postgresql://me:{SECRET}@ss:w/{SECRET}@host/db refused",
    f"cannot connect to 'postgresql+psycopg://me:{SECRET}@host/db' and mysql://you:{SECRET}@other/db",
    f"https://{SECRET}@github.com/me/it.git",
    f"https://a.blob.core.windows.net/c/x.csv?sv=2022&sig={SECRET}%3D&se=2027",
    f"https://bucket.s3.amazonaws.com/x?X-Amz-Credential={SECRET}%2F1&X-Amz-Signature={SECRET}&X-Amz-Security-Token={SECRET}",
    f"https://storage.googleapis.com/b/x?X-Goog-Signature={SECRET}",
    f"https://host/x?token={SECRET}",
    f"https://host/x?access_token={SECRET}&a=b",
    f"https://host/x?api_key={SECRET}",
    f"https://host/x?apikey={SECRET}",
    f"https://host/x?key={SECRET}",
    f"https://host/x?access_key={SECRET}&secret_key={SECRET}",
    f"DefaultEndpointsProtocol=https;AccountName=me;AccountKey={SECRET}==;EndpointSuffix=core.windows.net",
    f"SharedAccessSignature={SECRET}",
    f"Driver=x;Server=y;Uid=me;Pwd={SECRET};",
    f"host=db user=me password='{SECRET} and more' dbname=x",
    f"Authorization: Bearer {SECRET}",
    "AKIAABCDEFGHIJKLMNOP",
    "ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    f"eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx{SECRET}.{SECRET}",
    f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
    f"https://host/x?pw={SECRET}&jwt={SECRET}",
    f'{{"user": "me", "db_password": "{SECRET} and more", "port": 5432}}',
    f"https://hooks.slack.com/services/T0/B0/{SECRET} does not answer",
    f"https://discord.com/api/webhooks/12/{SECRET}",
    f'{{"password": "a\\"{SECRET}"}}',
    f'{{"said": "{{\\"password\\": \\"{SECRET}\\"}}"}}',
    f"{{'token': b'{SECRET}'}}",
    f'password="a\\"{SECRET}" host=db',
    f'password="""a\n{SECRET}\n"""',
    f"sk_live_{SECRET}{SECRET}",
    f"pypi-{SECRET}{SECRET}",
]
PLAIN = [
    "models:/evergreen@champion",
    "http://127.0.0.1:5000/#/experiments/2/runs/a7be21?workflowType=machine_learning",
    "sqlite:////home/me@work/stores/mlflow.db",
    "s3://bucket/folder/*.csv",
    "postgresql://me:${PASSWORD}@host/db",
    "https://host/x.csv?token=${TOKEN}",
    "'url' holds a password or a token: put it into the environment, and write ${NAME} here",
    "roc_auc 0.6981 (0.6672 to 0.7218); key=carrier; KEY = ('carrier', 'flight')",
    "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
]


@pytest.mark.parametrize("text", TEXTS)
def test_no_secret_is_left(text):
    for found in (
        redact(text),
        redact_code(text),
        str(InputError(text)),
        redact_all({"a": [text]})["a"][0],
    ):
        assert SECRET not in found
        assert "AKIAA" not in found
        assert "ghp_" not in found
        assert "***" in found
    assert redact(redact(text)) == redact(text)
    error = ValueError(text)
    redact_error(error)
    assert SECRET not in str(error)


@pytest.mark.parametrize("text", PLAIN)
def test_nothing_else_is_taken_out(text):
    assert redact(text) == text
    assert not holds_secret(text)


@pytest.mark.parametrize(
    "text", [*TEXTS[:2], *TEXTS[4:15], "mssql:///?odbc_connect=DRIVER%3D;PWD=abc"]
)
def test_a_url_with_a_secret_is_told_from_others(text):
    assert holds_secret(text)


@pytest.mark.parametrize(
    "url",
    ["https://host:8080/data@2024.csv", "https://host/a@b.csv", "ssh://git@host/x", "inbox/*"],
)
def test_a_url_without_one_is_let_through(url):
    assert not holds_secret(url)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("DB_PASSWORD", "p@ss:w/rd1", "could not translate host name p@ss:w/rd1 to an address"),
        ("DB_PASSWORD", "p@ss:w/rd1", "https://host/p%40ss%3Aw%2Frd1"),
        (
            "WAREHOUSE_DATABASE_URL",
            "postgresql://me:first@second9@host/db",
            "no host is called second9 or first",
        ),
        ("MY_API_TOKEN", "correcthorse", "said: correcthorse"),
        ("EVERGREEN_WEBHOOK", "https://chat/correct", "cannot reach https://chat/correct"),
    ],
)
def test_what_the_environment_holds_is_called_by_its_name(name, value, text, monkeypatch):
    monkeypatch.setenv(name, value)
    found = redact(text)
    assert f"${{{name}}}" in found
    assert [
        part for part in ("p@ss", "p%40ss", "first", "second9", "correct") if part in found
    ] == []


def test_what_stands_in_a_url_is_a_secret_whatever_it_is_called(monkeypatch):
    monkeypatch.setenv("PLACE", "warehouse/of/me")
    monkeypatch.setenv("FOLDER", "inbox/of/me")
    assert expand("https://host/${PLACE}/x.csv") == "https://host/warehouse/of/me/x.csv"
    assert expand("${FOLDER}/x.csv") == "inbox/of/me/x.csv"
    said = redact("no warehouse/of/me and no inbox/of/me")
    assert said == "no ${PLACE} and no inbox/of/me"


def test_a_secret_is_not_looked_for_inside_of_words(monkeypatch):
    monkeypatch.setenv("POSTGRES_PASSWORD", "postgres")
    assert redact("postgresql and xpostgres") == "postgresql and xpostgres"
    assert redact("user postgres") == "user ${POSTGRES_PASSWORD}"


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        (f'+API_TOKEN = "{SECRET} and more"', "+API_TOKEN = ***"),
        (f"+  password: {SECRET}", "+  password: ***"),
        (f'-DB = {{"password": "{SECRET}", "a": 1}}', '-DB = {"password": ***'),
        (f'+secret: str = "{SECRET}"', "+secret: str = ***"),
        (f'+os.environ["API_KEY"] = "{SECRET}"', '+os.environ["API_KEY"] = ***'),
        (f"+# the password is {SECRET}", "+# the password is ***"),
        ('+x = "aB3dE5gH7jK9mN1pQ3sT"', "+x = ***"),
        ('+KEY = ("carrier", "flight")', '+KEY = ("carrier", "flight")'),
        ('+FEATURES = ["sig_len", "author"]', '+FEATURES = ["sig_len", "author"]'),
        ('+    module: "evergreen.flights"', '+    module: "evergreen.flights"'),
    ],
)
def test_source_text_is_kept_without_what_is_given_to_a_telling_name(line, kept):
    assert redact_code(line) == kept


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        (f"+password: |\n+  {SECRET}\n+  more\n+x: 1", "+password: ***\n+  ***\n+  ***\n+x: 1"),
        (f'+TOKEN = (\n+    "{SECRET}"\n+)\n+x = 1', "+TOKEN = ***\n+    ***\n+)\n+x = 1"),
        (f" SECRETS = {{\n-    'a': '{SECRET}',\n }}", " SECRETS = ***\n-    ***\n }"),
        (f'+TOKEN = """\n+{SECRET}\n+"""\n+x = 1', "+TOKEN = ***\n+***\n+***\n+x = 1"),
        (f'+TOKEN = """a\n+{SECRET}\n@@ x\n+x = 1', "+TOKEN = ***\n+***\n@@ x\n+x = 1"),
        (f'+TOKEN = ("a"\n+    "{SECRET}")\n+x = 1', "+TOKEN = ***\n+    ***\n+x = 1"),
        (f'+TOKEN = of(\n+    "{SECRET}",\n+)\n+x = 1', "+TOKEN = ***\n+    ***\n+)\n+x = 1"),
        (f"+password:\n+  - {SECRET}\n+x: 1", "+password:\n+  ***\n+x: 1"),
        ('+TOKEN = """a"""\n+kept()', "+TOKEN = ***\n+kept()"),
        ("+class Token:\n+    a = 1", "+class Token:\n+    a = 1"),
        ("+def token(x):\n+    return x", "+def token(x):\n+    return x"),
        ("+FEATURES = [\n+    'a',\n+]", "+FEATURES = [\n+    'a',\n+]"),
        ('+token = "a"\n+    kept()', "+token = ***\n+    kept()"),
    ],
)
def test_a_value_that_goes_on_below_is_not_kept(lines, kept):
    assert redact_code(lines) == kept


@pytest.mark.parametrize(
    "word",
    ["x", "x1", "-", "key", "a.", "password", "api-key", "sharedaccess", '"token.', "s3://a,"],
)
def test_a_long_word_takes_time_as_its_length(word):
    began = time.process_time()
    redact_code(word * 30_000)
    assert time.process_time() - began < 5  # a square takes minutes
