"""The rating page is blinded, shuffled, works in a browser, and its answers become mean opinion scores."""

import base64
import json
import re
import time
from pathlib import Path

import av
import numpy as np
import pytest
from video_maker import make_video, smooth_frames

from vidtwin.evaluation import rating
from vidtwin.evaluation.rating import FORMAT, QUESTIONS, key_of, opinions, table, write_page
from vidtwin.modeling_vidtwin.video_io import read_video


@pytest.fixture
def study(tmp_path) -> Path:
    """A page of two videos by systems "ours" and "theirs"."""
    for folder in ("originals", "a", "b"):
        (tmp_path / folder).mkdir()
        for name in ("one", "two"):
            make_video(tmp_path / folder / f"{name}.mp4", smooth_frames(5), 25)
    systems = {"ours": tmp_path / "a", "theirs": tmp_path / "b"}
    assert write_page(tmp_path / "originals", systems, tmp_path / "page.html", "Rate <these>") == 4
    return tmp_path


def embedded(page: Path) -> dict:
    return json.loads(re.findall(r'id="study">(.*?)</script>', page.read_text())[0])


def answers(study: Path, rater: str, scores: dict[str, int], name: str = "a.json") -> Path:
    key = json.loads(key_of(study / "page.html").read_text())
    rated = {code: dict.fromkeys(QUESTIONS, scores[item["system"]]) for code, item in key["items"].items()}
    file = study / name
    file.write_text(json.dumps({"format": FORMAT, "study": key["study"], "rater": rater, "answers": rated}))
    return file


def test_the_page_holds_everything_but_whose_the_copies_are(study):
    text = (study / "page.html").read_text()
    found = embedded(study / "page.html")
    assert len(found["items"]) == 4 and len(found["originals"]) == 2
    assert text.count("data:video/mp4;base64,") == 6 and "http" not in text
    assert "ours" not in text and "theirs" not in text and "one.mp4" not in text
    assert "<title>Rate &lt;these&gt;</title>" in text
    key = json.loads(key_of(study / "page.html").read_text())
    assert {item["id"] for item in found["items"]} == set(key["items"]) and key["study"] == found["id"]


def test_scores_are_means_with_students_interval(study):
    files = [
        answers(study, "r1", {"ours": 4, "theirs": 2}, "1.json"),
        answers(study, "r2", {"ours": 5, "theirs": 2}, "2.json"),
    ]
    found = {(each.system, each.question): each for each in opinions(key_of(study / "page.html"), files)}
    ours = found["ours", "temporal"]
    assert (ours.mean, ours.raters, ours.ratings) == (4.5, 2, 4)
    # Two raters, however many pairs each rated: Student's t with one degree of freedom.
    assert ours.half_width == pytest.approx(12.7062 * 0.5**0.5 / 2**0.5, abs=1e-3)
    assert found["theirs", "detail"].half_width == 0
    text = table(list(found.values()))
    assert "| theirs | 2.00 ± 0.00 | 2.00 ± 0.00 | 2.00 ± 0.00 | 2 | 4 |" in text


def test_answers_that_do_not_fit_are_refused_by_file(study):
    key = key_of(study / "page.html")
    good = answers(study, "r1", {"ours": 4, "theirs": 2})
    content = json.loads(good.read_text())
    with pytest.raises(ValueError, match="same rater"):
        opinions(key, [good, good])
    for change, message in (
        ({"study": "other"}, "no answers to this study"),
        ({"answers": {}}, "must rate all 4 pairs, got 0"),
        ({"answers": None}, "must name its rater and hold answers"),
        ({"rater": 3}, "must name its rater and hold answers"),
        ({"answers": dict.fromkeys(content["answers"], 3)}, "from 1 to 5"),
        ({"answers": dict.fromkeys(content["answers"], dict.fromkeys(QUESTIONS, True))}, "from 1 to 5"),
        ({"answers": dict.fromkeys(content["answers"], dict.fromkeys(QUESTIONS, [3]))}, "from 1 to 5"),
        ({"answers": {code: dict.fromkeys(QUESTIONS, 6) for code in content["answers"]}}, "from 1 to 5"),
    ):
        (study / "bad.json").write_text(json.dumps({**content, **change}))
        with pytest.raises(ValueError, match=rf"bad\.json .*{message}"):
            opinions(key, [study / "bad.json"])
    (study / "bad.json").write_text("{")
    with pytest.raises(ValueError, match=r"bad\.json is no JSON"):
        opinions(key, [study / "bad.json"])
    with pytest.raises(ValueError, match=r"a\.json is not the key of a page"):
        opinions(good, [good])


def test_missing_copies_are_named(study):
    (study / "b" / "two.mp4").unlink()
    with pytest.raises(ValueError, match=r"got none of two\.mp4"):
        write_page(study / "originals", {"theirs": study / "b"}, study / "other.html", "Rate")
    assert not (study / "other.html").exists()


@pytest.mark.parametrize("frames", [smooth_frames(4), smooth_frames(5, 32, 64)])
def test_copies_of_another_length_or_size_are_refused(study, frames):
    make_video(study / "b" / "two.mp4", frames, 25)
    with pytest.raises(ValueError, match=r"two\.mp4 must have the original's height, .* got (32|48), "):
        write_page(study / "originals", {"theirs": study / "b"}, study / "other.html", "Rate")


def test_a_missing_folder_is_named(study):
    with pytest.raises(ValueError, match="nowhere is no folder"):
        write_page(study / "nowhere", {"ours": study / "a"}, study / "other.html", "Rate")


def test_a_second_page_does_not_make_the_first_ones_answers_worthless(study):
    with pytest.raises(ValueError, match=r"page\.html\.key\.json exists"):
        write_page(study / "originals", {"ours": study / "a"}, study / "page.html", "Rate")


def test_one_rater_has_no_interval():
    assert "| 4.00 | 4.00 |" in table([rating._opinion("ours", name, [4], 3) for name in QUESTIONS])


def test_pairs_are_in_the_order_of_their_random_names(tmp_path):
    """Not that of the systems, which would tell whose they are."""
    for folder in ("originals", "a", "b"):
        (tmp_path / folder).mkdir()
        for number in range(8):
            make_video(tmp_path / folder / f"{number}.mp4", smooth_frames(2), 25)
    systems = {"ours": tmp_path / "a", "theirs": tmp_path / "b"}
    write_page(tmp_path / "originals", systems, tmp_path / "page.html", "Rate")
    ids = [item["id"] for item in embedded(tmp_path / "page.html")["items"]]
    assert len(ids) == 16 and ids == sorted(ids)


def test_what_a_file_says_of_itself_stays_out_of_the_page(study):
    """The pictures stay bit for bit."""
    source, told = study / "b" / "two.mp4", study / "told.mp4"
    with av.open(source) as reader, av.open(told, "w") as writer:
        writer.metadata["comment"] = "made by theirs"
        stream = writer.add_stream_from_template(reader.streams.video[0])
        for packet in reader.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                writer.mux(packet)
    told.replace(source)
    assert b"made by theirs" in source.read_bytes()
    write_page(study / "originals", {"theirs": study / "b"}, study / "other.html", "Rate")
    found = embedded(study / "other.html")
    copies = [base64.b64decode(item["copy"].partition(",")[2]) for item in found["items"]]
    assert not any(b"theirs" in copy for copy in copies)
    (study / "copy.mp4").write_bytes(copies[0])
    kept, rate = read_video(study / "copy.mp4")
    wanted, wanted_rate = read_video(study / "b" / "one.mp4")
    assert np.array_equal(kept, wanted) and rate == wanted_rate


def wait_for_whole(folder: Path) -> list[Path]:
    """What the browser saved, once it has written it to the end."""
    for _ in range(200):
        for file in folder.glob("*.json"):
            if file.read_text().endswith("}"):
                return [file]
        time.sleep(0.05)
    raise AssertionError(f"the browser saved {[path.name for path in folder.iterdir()]}")


@pytest.mark.slow
def test_a_rater_in_a_browser_rates_every_pair_and_saves(study, browser, tmp_path):
    (tmp_path / "saved").mkdir()
    where = {"behavior": "allow", "downloadPath": str(tmp_path / "saved")}
    browser.execute_cdp_cmd("Page.setDownloadBehavior", where)
    page = (study / "page.html").as_uri()
    browser.get(page)
    assert browser.title == "Rate <these>"

    def click(selector: str) -> None:
        browser.find_element("css selector", selector).click()

    def enabled(selector: str) -> bool:
        return browser.find_element("css selector", selector).is_enabled()

    for number in range(4):
        assert f"Pair {number + 1} of 4" in browser.find_element("id", "progress").text
        assert not enabled("#save")
        for question, value in zip(QUESTIONS, (5, 3, number + 1), strict=True):
            click(f"#{question}-{value}")
        if number == 1:
            browser.get(page)  # a page that was closed goes on where it was
        if number < 3:
            click("#next")
    assert not enabled("#next") and enabled("#save")
    ready = "return [...document.querySelectorAll('video')].every(v => v.videoWidth > 0)"
    assert browser.execute_script(ready)
    click("#save")
    saved = wait_for_whole(tmp_path / "saved")
    found = opinions(key_of(study / "page.html"), saved)
    assert {each.mean for each in found if each.question == "semantic"} == {5}
    assert {each.mean for each in found if each.question == "temporal"} == {3}
    details = [each for each in found if each.question == "detail"]
    assert sum(each.mean * each.ratings for each in details) == 1 + 2 + 3 + 4
    assert [line for line in browser.get_log("browser") if line["level"] == "SEVERE"] == []
