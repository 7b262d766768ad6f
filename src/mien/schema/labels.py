"""Label sets: the only place that knows in which order a dataset or a model counts its classes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from mien.schema.errors import ConfigError

SYNONYMS: Mapping[str, str] = MappingProxyType(
    {
        "angry": "anger",
        "disgusted": "disgust",
        "empathic pain": "empathic_pain",
        "empathic-pain": "empathic_pain",
        "fearful": "fear",
        "happy": "happiness",
        "sad": "sadness",
        "surprised": "surprise",
    }
)


def canonical(name: str) -> str:
    """The toolkit's spelling of a label: lower case, the noun (``Happy`` -> ``happiness``)."""
    lowered = name.strip().lower()
    return SYNONYMS.get(lowered, lowered)


@dataclass(frozen=True, slots=True)
class LabelSet:
    """An ordered set of class names.

    Attributes:
        id: short name, as in ``LABEL_SETS``.
        names: canonical class names; the position is the class index.
        source: where the order comes from.
    """

    id: str
    names: tuple[str, ...]
    source: str = ""

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names) or not self.names:
            raise ConfigError(f"A label set needs distinct names, at least one; given: {self.names}")

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and canonical(name) in self.names

    def index(self, name: str) -> int:
        """Class index of a label, synonyms and capitals allowed.

        Raises:
            ConfigError: if the set has no such label.
        """
        try:
            return self.names.index(canonical(name))
        except ValueError:
            allowed = ", ".join(self.names)
            raise ConfigError(f"{name!r} is not a label of {self.id!r}; its labels are: {allowed}") from None

    def indices_in(self, other: "LabelSet") -> tuple[int | None, ...]:
        """For each label of this set its index in ``other``, or ``None`` where ``other`` lacks it."""
        return tuple(other.names.index(n) if n in other.names else None for n in self.names)

    def subset(self, names: Iterable[str], *, id: str = "") -> "LabelSet":
        """The labels in ``names``, kept in this set's order."""
        wanted = {self.names[self.index(n)] for n in names}
        kept = tuple(n for n in self.names if n in wanted)
        return LabelSet(id or f"{self.id}_{len(kept)}", kept, self.source)


BASIC_7 = LabelSet(
    "basic_7",
    ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger"),
    "the toolkit's own order of the seven basic expressions",
)
RAF_DB = LabelSet(
    "raf_db",
    ("surprise", "fear", "disgust", "happiness", "sadness", "anger", "neutral"),
    "RAF-DB list_patition_label.txt, 1 to 7",
)
FERPLUS = LabelSet(
    "ferplus",
    ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    "FERPlus fer2013new.csv, order of the columns",
)
FER2013 = LabelSet(
    "fer2013",
    ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
    "FER2013 fer2013.csv, 0 to 6",
)
AFFECTNET_8 = LabelSet(
    "affectnet_8",
    ("neutral", "happiness", "sadness", "surprise", "fear", "disgust", "anger", "contempt"),
    "AffectNet annotation, 0 to 7",
)
AFFECTNET_7 = LabelSet("affectnet_7", AFFECTNET_8.names[:7], "AffectNet annotation, 0 to 6")
EXPW = LabelSet(
    "expw",
    ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"),
    "ExpW label.lst, 0 to 6",
)
DFEW = LabelSet(
    "dfew",
    ("happiness", "sadness", "neutral", "anger", "surprise", "disgust", "fear"),
    "DFEW EmoLabel_DataSplit, 1 to 7",
)
FERV39K = LabelSet("ferv39k", DFEW.names, "FERV39k, in the order of DFEW")
AFEW = LabelSet(
    "afew",
    ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise"),
    "AFEW folder names, sorted",
)
MAFW_11 = LabelSet(
    "mafw_11",
    (*AFEW.names, "contempt", "anxiety", "helplessness", "disappointment"),
    "MAFW single-set, 11 classes",
)
RAVDESS = LabelSet(
    "ravdess",
    ("neutral", "calm", "happiness", "sadness", "anger", "fear", "disgust", "surprise"),
    "RAVDESS file names, 01 to 08",
)
CREMA_D = LabelSet(
    "crema_d",
    ("anger", "disgust", "fear", "happiness", "neutral", "sadness"),
    "CREMA-D codes of file names, sorted",
)
AFF_WILD2 = LabelSet(
    "aff_wild2",
    ("neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise", "other"),
    "Aff-Wild2 expression annotation, 0 to 7",
)
HUME_REACTION = LabelSet(
    "hume_reaction",
    ("adoration", "amusement", "anxiety", "disgust", "empathic_pain", "fear", "surprise"),
    "Hume-Reaction labels.csv, order of the columns",
)

LABEL_SETS: Mapping[str, LabelSet] = MappingProxyType(
    {
        s.id: s
        for s in (
            BASIC_7,
            RAF_DB,
            FERPLUS,
            FER2013,
            AFFECTNET_8,
            AFFECTNET_7,
            EXPW,
            DFEW,
            FERV39K,
            AFEW,
            MAFW_11,
            RAVDESS,
            CREMA_D,
            AFF_WILD2,
            HUME_REACTION,
        )
    }
)
