"""Signs pictures with c2pa-python, the reference implementation, by a chain of certificates made on the spot.

``python -m tests.imaging.consent.signing`` (with ``pip install c2pa-python``) writes the files in ``signed/``
anew, which the tests read where that package is not installed.
"""

from __future__ import annotations

import datetime
import io
from pathlib import Path
from typing import Any

import c2pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.imaging.consent.builders import PIXELS
from tests.imaging.odd_files import saved

SIGNED = Path(__file__).parent / "signed"
FORMATS = {
    "jpg": ("JPEG", "image/jpeg"),
    "png": ("PNG", "image/png"),
    "webp": ("WEBP", "image/webp"),
    "avif": ("AVIF", "image/avif"),
}
_USAGES = ("digital_signature", "key_cert_sign", "crl_sign")
_OTHER_USAGES = (
    *("content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "encipher_only", "decipher_only"),
)


def signed(
    ending: str, assertions: list[dict[str, Any]], picture: bytes | None = None, thumbnail: bool = False
) -> bytes:
    """A signed picture of one of ``FORMATS``, with these assertions beside that it was created or opened.

    ``picture``: what it was made from, signed already; its manifests are kept.
    """
    image_format, media_type = FORMATS[ending]
    body = saved(PIXELS, image_format) if picture is None else picture
    source = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
    created = {"action": "c2pa.created", "digitalSourceType": source}
    actions = [] if picture else [{"label": "c2pa.actions.v2", "data": {"actions": [created]}}]
    made = {
        "claim_generator_info": [{"name": "test", "version": "1"}],
        "format": media_type,
        "assertions": [*actions, *assertions],
    }
    settings = c2pa.Settings.from_dict({"builder": {"thumbnail": {"enabled": thumbnail}}})
    chain, key = _chain()
    signer = c2pa.Signer.from_info(
        c2pa.C2paSignerInfo(alg=b"es256", sign_cert=chain, private_key=key, ta_url=None)
    )
    builder = c2pa.Builder(made, c2pa.Context(settings))
    if picture is not None:
        # What is signed becomes the parent, with an action that says that it was opened.
        builder.set_intent(c2pa.C2paBuilderIntent.EDIT)
    file = io.BytesIO()
    builder.sign(signer, media_type, io.BytesIO(body), file)
    return file.getvalue()


def _chain() -> tuple[bytes, bytes]:
    """Certificates of a signer and its authority, and the signer's key, in PEM."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    authority, signer = _name("authority"), _name("signer")
    root = _certificate(authority, authority_key, authority, authority_key, is_authority=True)
    leaf = _certificate(signer, key, authority, authority_key, is_authority=False)
    encoded = [each.public_bytes(serialization.Encoding.PEM) for each in (leaf, root)]
    form = serialization.PrivateFormat.PKCS8
    return b"".join(encoded), key.private_bytes(
        serialization.Encoding.PEM, form, serialization.NoEncryption()
    )


def _name(of: str) -> x509.Name:
    parts = {NameOID.ORGANIZATION_NAME: "Example", NameOID.COMMON_NAME: of}
    return x509.Name([x509.NameAttribute(kind, value) for kind, value in parts.items()])


def _certificate(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    is_authority: bool,
) -> x509.Certificate:
    usages = _USAGES if is_authority else _USAGES[:1]
    usage = {name: name in usages for name in (*_USAGES, *_OTHER_USAGES)}
    begin = datetime.datetime(2026, 1, 1)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin)
        .not_valid_after(begin + datetime.timedelta(days=36_500))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False
        )
    )
    if not is_authority:
        made = made.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False
        )
    return made.sign(issuer_key, hashes.SHA256())


def training_mining(uses: dict[str, str], owner: str = "cawg") -> dict[str, Any]:
    """The assertion, of uses by their names without the owner's."""
    entries = {f"{owner}.{name}": {"use": use} for name, use in uses.items()}
    return {"label": f"{owner}.training-mining", "data": {"entries": entries}}


def main() -> None:
    SIGNED.mkdir(exist_ok=True)
    uses = {"ai_generative_training": "notAllowed", "ai_training": "constrained", "data_mining": "allowed"}
    for ending in FORMATS:
        (SIGNED / f"not_allowed.{ending}").write_bytes(signed(ending, [training_mining(uses)]))


if __name__ == "__main__":
    main()
