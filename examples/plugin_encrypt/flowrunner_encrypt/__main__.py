"""Print a fresh key: ``python -m flowrunner_encrypt``."""

from cryptography.fernet import Fernet

print(Fernet.generate_key().decode())
