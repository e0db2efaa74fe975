"""The names of an asset: id, PIN, serial, device serial, and the way back from a name to its number.

Everything follows from the seed and the asset's number. Each name carries the number, which is why
a look-up in a fleet of a million needs no index.
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import blake2b
from uuid import UUID

from airflow_provider_trackunit.emulator.machines.fleet import BLOCK, TOOL_DIGIT

FIRST_MACHINE_ID = 1_500_000
MACHINE_ID_STEP = 7
FIRST_DEVICE_SERIAL = 3_000_000
DEVICES_EACH = 4

BRANDS = ("Acme", "Bolt", "Canyon", "Dovre", "Egeskov", "Fjord", "Grane", "Holm")
MODELS = ("X20", "TB290", "E35", "L90H", "S45", "ZX210", "T7", "D61")

# Names that break careless URL building; they return every 500 assets.
AWKWARD_PERIOD = 500
AWKWARD_PINS = {
    1: "EX 17 {:07d}",
    2: "A/B/{:07d}",
    3: "NO#{:07d}",
    4: "50%25-{:07d}",
    5: "KØGE-BÆLTE-{:07d}",
    6: "",
    7: "",
    11: "TRAILING-{:07d} ",
    12: "WHAT?{:07d}",
    13: "PLUS+{:07d}",
}
WITHOUT_SERIAL = 7
_TRAILING_NUMBER = re.compile(r"(\d{7,})\s*$")


def roll(seed: int, index: int, what: str) -> bytes:
    """Return 32 bytes that are always the same for this seed, number and purpose."""
    return blake2b(f"{what}:{seed}:{index}".encode(), digest_size=32).digest()


@lru_cache(maxsize=16_384)
def dice(seed: int, index: int, what: str = "asset") -> bytes:
    """Return the same, kept for what is asked for again and again."""
    return roll(seed, index, what)


def share(bits: bytes, at: int = 0) -> float:
    """Return a number from 0 up to 1 that two of the bytes make."""
    return int.from_bytes(bits[at : at + 2]) / 65_536


@lru_cache(maxsize=16_384)
def scattered_uuid(seed: int, index: int, what: str) -> str:
    """Return a UUID that looks random and carries ``index`` in its last twelve hex digits."""
    text = dice(seed, index, what).hex()
    return f"f{text[:7]}-{text[7:11]}-{text[11:15]}-{text[15:19]}-{index:012x}"


def index_in_uuid(text: str) -> int | None:
    """Return the number a scattered UUID carries, or None if the text is no UUID."""
    try:
        return UUID(text).int & 0xFFFF_FFFF_FFFF
    except ValueError:
        return None


def machine_id(index: int) -> int:
    """Return the integer id of the legacy machine and CAN fault APIs."""
    return FIRST_MACHINE_ID + MACHINE_ID_STEP * index


def machine_uuid(index: int) -> str:
    """Return the machine id as the zero-padded UUID (developer hub: sdk-docs, rest-apis)."""
    return f"00000000-0000-0000-0000-{machine_id(index):012d}"


def asset_id(seed: int, index: int) -> str:
    """Return the asset id: the machine's UUID, or a random-looking one for tools and some machines."""
    if index % BLOCK == TOOL_DIGIT or index % 40 == 15:
        return scattered_uuid(seed, index, "asset")
    return machine_uuid(index)


def index_of_asset(seed: int, text: str) -> int | None:
    """Return the number of the asset with this id, or None."""
    plain = text.lower()
    if plain.startswith("00000000-0000-0000-0000-") and plain[24:].isdecimal():
        index = (int(plain[24:]) - FIRST_MACHINE_ID) // MACHINE_ID_STEP
    else:
        index = index_in_uuid(plain) or 0
    return index if index >= 0 and asset_id(seed, index) == plain else None


@lru_cache(maxsize=16_384)
def brand_and_model(seed: int, index: int) -> tuple[str, str]:
    """Return what the machine is."""
    bits = dice(seed, index)
    return BRANDS[bits[0] % len(BRANDS)], MODELS[bits[1] % len(MODELS)]


def device_serials(seed: int, index: int) -> list[str]:
    """Return the serials of the asset's telematics devices; a tool may have none."""
    roll = dice(seed, index)[2] % 8
    devices = roll % 2 if index % BLOCK == TOOL_DIGIT else 1 + (roll == 0)
    return [str(FIRST_DEVICE_SERIAL + DEVICES_EACH * index + which) for which in range(devices)]


@dataclass(frozen=True, slots=True)
class Names:
    """What machines are called on their plates, under the switches that make it hard.

    :param without_pin: share of machines that have no PIN, beside the few that never have one
    :param shared_pins: share of machines that have the PIN of the machine before them
    """

    seed: int
    without_pin: float = 0.0
    shared_pins: float = 0.0

    def pin(self, index: int) -> str:
        """Return the PIN, free text that users edit; empty for a few machines."""
        awkward = AWKWARD_PINS.get(index % AWKWARD_PERIOD)
        if awkward is not None:
            return awkward.format(index)
        if self.without_pin > 0 and share(dice(self.seed, index, "pin"), 0) < self.without_pin:
            return ""
        # Not a chain: the machine before has a PIN of its own.
        if index % 2 and self.shared_pins > 0 and share(dice(self.seed, index, "pin"), 2) < self.shared_pins:
            return self.pin(index - 1)
        brand, model = brand_and_model(self.seed, index)
        return f"{brand[:3].upper()}{model}P{index:07d}"

    def serial_number(self, index: int) -> str | None:
        """Return the machine's serial number: the PIN where it is its own, None for a few assets."""
        if index % AWKWARD_PERIOD == WITHOUT_SERIAL:
            return None
        pin = self.pin(index)
        return pin if pin and _number_in(pin) == index else f"SN{index:07d}"

    def index_of(self, text: str) -> int | None:
        """Return the asset that a PIN names, else its serial, else its device serial; None if none does."""
        index = _number_in(text)
        if index is None:
            return None
        if text in (self.pin(index), self.serial_number(index)):
            return index
        owner = (index - FIRST_DEVICE_SERIAL) // DEVICES_EACH
        return owner if owner >= 0 and text in device_serials(self.seed, owner) else None


def _number_in(text: str) -> int | None:
    number = _TRAILING_NUMBER.search(text)
    return None if number is None else int(number[1])
