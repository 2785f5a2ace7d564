#!/usr/bin/env python3
"""Opens and creates .seqbac files with stock Tink: recovery with the key, but without moorline.

    pip install tink==1.16.1
    python3 seqbac-tink.py open KEYFILE BACKUP > backup.tar.zst
    zstd -d backup.tar.zst -o backup.tar
    tar -xf backup.tar

    python3 seqbac-tink.py seal KEYFILE TAR.ZST > BACKUP

KEYFILE contains the secret key as `moorline show-key` prints it: base64 of 32 bytes. The script holds one segment in
memory at a time. If Tink reports an error, the key is wrong or the file is damaged. The output until then is genuine
but incomplete.
"""
import base64, hashlib, hmac, io, os, struct, sys, time

import tink
from tink import cleartext_keyset_handle, streaming_aead
from tink.proto import aes_gcm_hkdf_streaming_pb2, common_pb2, tink_pb2

MAGIC = b"\x89SBC\r\n\x1a\n"
FOOTER_MAGIC = b"SBCEND\r\n"
FOOTER_LENGTH = 24
CHUNK = 1 << 20


def hkdf(key, salt, info, length):
    """HKDF-SHA256 (RFC 5869)."""
    pseudorandom = hmac.new(salt or bytes(32), key, hashlib.sha256).digest()
    output, block = b"", b""
    while len(output) < length:
        block = hmac.new(pseudorandom, block + info + bytes([len(output) // 32 + 1]), hashlib.sha256).digest()
        output += block
    return output[:length]


def crc32c_table():
    for byte in range(256):
        for _ in range(8):
            byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
        yield byte


TABLE = list(crc32c_table())


def crc32c(data, crc=0):
    crc ^= 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def tink_primitive(key):
    """Tink's AES256_GCM_HKDF_1MB with this key."""
    streaming_aead.register()
    parameters = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingParams(
        ciphertext_segment_size=1 << 20, derived_key_size=32, hkdf_hash_type=common_pb2.SHA256)
    streaming_key = aes_gcm_hkdf_streaming_pb2.AesGcmHkdfStreamingKey(version=0, key_value=key, params=parameters)
    keyset = tink_pb2.Keyset(primary_key_id=1)
    entry = keyset.key.add(key_id=1, status=tink_pb2.ENABLED, output_prefix_type=tink_pb2.RAW)
    entry.key_data.type_url = "type.googleapis.com/google.crypto.tink.AesGcmHkdfStreamingKey"
    entry.key_data.value = streaming_key.SerializeToString()
    entry.key_data.key_material_type = tink_pb2.KeyData.SYMMETRIC
    handle = cleartext_keyset_handle.read(tink.BinaryKeysetReader(keyset.SerializeToString()))
    return handle.primitive(streaming_aead.StreamingAead)


class Part(io.RawIOBase):
    """The next `length` bytes of a file."""

    def __init__(self, file, length):
        self.file, self.left = file, length

    def readable(self):
        return True

    def readinto(self, buffer):
        data = self.file.read(min(len(buffer), self.left))
        buffer[:len(data)] = data
        self.left -= len(data)
        return len(data)


class Counted(io.RawIOBase):
    """Writes to a file, and keeps length and checksum of what was written."""

    def __init__(self, file):
        self.file, self.length, self.crc = file, 0, 0

    def writable(self):
        return True

    def write(self, data):
        data = bytes(data)
        self.file.write(data)
        self.length += len(data)
        self.crc = crc32c(data, self.crc)
        return len(data)

    def close(self):
        pass


def fingerprint(key):
    return hkdf(key, b"", b"seqbac/v1/key-id", 16)


def open_backup(key, path, out):
    with open(path, "rb") as file:
        start = file.read(16)
        if start[:8] != MAGIC:
            sys.exit(f"{path} is not a .seqbac file")
        header_length = struct.unpack("<I", start[12:16])[0]
        header = start + file.read(header_length - 16)
        if header[44:60] != fingerprint(key):
            sys.exit(f"wrong key: {header[44:60].hex()} sealed the backup, this one is {fingerprint(key).hex()}")
        end = os.path.getsize(path)
        file.seek(end - FOOTER_LENGTH)
        if file.read(8) == FOOTER_MAGIC:
            end -= FOOTER_LENGTH
        file.seek(header_length)
        payload = io.BufferedReader(Part(file, end - header_length), CHUNK)
        with tink_primitive(key).new_decrypting_stream(payload, header) as plain:
            while chunk := plain.read(CHUNK):
                out.write(chunk)
    out.flush()


def build_header(key):
    backup_id = os.urandom(16)
    writer = b"seqbac-tink.py"
    fields = struct.pack("<HH", 1, len(writer)) + writer
    header = MAGIC + struct.pack("<BBHIBBHq", 1, 0, 0, 60 + len(fields) + 32 + 4, 1, 1, 0, int(time.time() * 1000))
    header += backup_id + fingerprint(key) + fields
    header += hmac.new(hkdf(key, backup_id, b"seqbac/v1/header-mac", 32), header, hashlib.sha256).digest()
    return header + struct.pack("<I", crc32c(header))


def seal_backup(key, path, out):
    header = build_header(key)
    out.write(header)
    payload = Counted(out)
    with open(path, "rb") as file, tink_primitive(key).new_encrypting_stream(payload, header) as sealed:
        while chunk := file.read(CHUNK):
            sealed.write(chunk)
    footer = FOOTER_MAGIC + struct.pack("<QI", payload.length, payload.crc)
    out.write(footer + struct.pack("<I", crc32c(footer)))
    out.flush()


def main():
    commands = {"open": open_backup, "seal": seal_backup}
    if len(sys.argv) != 4 or sys.argv[1] not in commands:
        sys.exit(__doc__)
    with open(sys.argv[2]) as file:
        key = base64.b64decode(file.read().strip(), validate=True)
    if len(key) != 32:
        sys.exit(f"the key in {sys.argv[2]} has {len(key)} bytes instead of 32")
    commands[sys.argv[1]](key, sys.argv[3], sys.stdout.buffer)


if __name__ == "__main__":
    main()
