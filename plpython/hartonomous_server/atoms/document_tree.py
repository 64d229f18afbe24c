"""An HTML page as the tree that a reader sees: parsed, without navigation and scripts, blocks parted by white space."""

from __future__ import annotations

import re

import lxml.html
from lxml.etree import ParserError, iterwalk
from lxml.etree import _Element as Element

from hartonomous_server import errors

MAX_DEPTH = 2048  # what recent parsers read; on deeper trees lxml takes quadratic time
MAX_ATTRIBUTES = 20000  # of a tag: the parser compares each with all before it


def names(text: str) -> frozenset[str]:
    return frozenset(text.split())


HEADINGS = names("h1 h2 h3 h4 h5 h6")
PRE_TAGS = names("pre xmp listing plaintext")
LABEL_TAGS = names("caption figcaption summary legend")
BLOCK_TAGS = HEADINGS | PRE_TAGS | LABEL_TAGS | names(
    "address article aside blockquote body center dd details dialog dir div dl dt fieldset figure footer form frameset "
    "header hgroup hr html li main menu noframes ol p section table tbody td tfoot th thead tr ul"
)
_UNSEEN_TAGS = names(
    "head title script style template noscript iframe object audio video canvas svg select textarea button datalist nav"
)
_NAVIGATION_ROLES = names("navigation banner contentinfo search menu menubar doc-toc doc-index")
_NAVIGATION_CLASSES = names(
    "toc list-of-figures list-of-tables list-of-examples navheader navfooter navbar breadcrumb breadcrumbs skip-link "
    "headerlink linenos"
)
_PERMALINK_TEXTS = names("# \u00b6 \u00a7 \U0001f517")
_SPACE = re.compile(r"\s+")
_CONTROL = re.compile(r"[\x01-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")  # lxml returns these but takes none back
_CHARACTER_REFERENCE = re.compile(r"&#(?:x([0-9a-f]{1,6})|([0-9]{1,7}));?", re.IGNORECASE)
_TAG = re.compile(r"""<[a-zA-Z](?:[^"'>]|"[^"]*"|'[^']*')*""")
_INVISIBLE = dict.fromkeys((0xAD, 0x200B, 0xFEFF))  # places where a long word may break


def page_tree(content: str) -> tuple[str, Element | None]:
    """The title and the root; no root where there is nothing but space and comments."""
    root = _parse(content)
    if root is None:
        return "", None
    title = normal("".join(root.xpath("string((//title[not(ancestor::svg)])[1])")))
    _prune(root)
    return title, root


def _parse(content: str) -> Element | None:
    parser = lxml.html.HTMLParser(encoding="utf-8", remove_comments=True, remove_pis=True, huge_tree=True)
    if any(_attributes(tag[0]) > MAX_ATTRIBUTES for tag in _TAG.finditer(content) if len(tag[0]) > MAX_ATTRIBUTES):
        raise errors.ContentMalformed(f"a tag has more than {MAX_ATTRIBUTES} attributes, expected fewer")
    printable = _CHARACTER_REFERENCE.sub(_printable_reference, _CONTROL.sub(" ", content))
    try:
        root = lxml.html.document_fromstring(printable.encode(), parser=parser)
    except ParserError:
        return None
    if any("xcessive depth" in entry.message for entry in parser.error_log) or _too_deep(root):
        raise errors.ContentMalformed(
            f"html elements are nested more than {MAX_DEPTH} deep, expected fewer",
            hint="call ingest_document with format => 'text' on the text itself",
        )
    return root


def _attributes(tag: str) -> int:
    """No fewer than the tag has."""
    return len(_SPACE.findall(tag)) + tag.count("=")


def _too_deep(root: Element) -> bool:
    depth = 0
    for event, _ in iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        if depth > MAX_DEPTH:
            return True
    return False


def _printable_reference(reference: re.Match[str]) -> str:
    hexadecimal, decimal = reference.groups()
    code = int(hexadecimal, 16) if hexadecimal else int(decimal)
    return " " if code > 0x10FFFF or _CONTROL.match(chr(code)) else reference.group()


def _prune(root: Element) -> None:
    """Take out what is not read and part blocks by white space, so that an element's text is what a reader sees."""
    for element in list(root.iter()):
        if element is not root and _is_unseen(element):
            element.drop_tree()
        elif element.tag == "br":
            element.tail = "\n" + (element.tail or "")
        elif element.tag in BLOCK_TAGS:
            element.tail = "\n" + (element.tail or "")
            if element.tag not in PRE_TAGS:
                element.text = "\n" + (element.text or "")


def _is_unseen(element: Element) -> bool:
    tag = element.tag
    if tag in _UNSEEN_TAGS or element.get("hidden") is not None or element.get("aria-hidden") == "true":
        return True
    if tag == "body" or tag in HEADINGS:
        return False
    if element.get("role") in _NAVIGATION_ROLES or not _NAVIGATION_CLASSES.isdisjoint(classes(element)):
        return True
    if tag in ("header", "footer"):
        return _is_page_furniture(element)
    return tag == "a" and (element.get("href") or "").startswith("#") and text_of(element) in _PERMALINK_TEXTS


def _is_page_furniture(element: Element) -> bool:
    inside = any(a.tag in ("article", "main", "section") for a in element.iterancestors())
    return not inside and next(element.iter("h1"), None) is None


def is_inline(element: Element) -> bool:
    return not any(inner.tag in BLOCK_TAGS for inner in element.iter())


def visible(text: str) -> str:
    return text.translate(_INVISIBLE)


def normal(text: str) -> str:
    return _SPACE.sub(" ", visible(text)).strip()


def text_of(element: Element) -> str:
    return normal("".join(element.itertext()))


def stray_text(element: Element) -> str:
    """Text that stands directly in an element where only other elements should."""
    return normal(" ".join([element.text or "", *(child.tail or "" for child in element)]))


def classes(element: Element) -> set[str]:
    return set((element.get("class") or "").lower().split())


def own_id(element: Element) -> str | None:
    return element.get("id") or (element.get("name") if element.tag == "a" else None) or None


def first_id(element: Element) -> str | None:
    """The id that stands before the element's text."""
    for inner in element.iter():
        found = own_id(inner)
        if found or (inner.text or "").strip():
            return found
    return None
