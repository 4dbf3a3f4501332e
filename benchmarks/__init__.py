"""Speed of the model beside a textbook implementation, and quality of the demo model on unseen footage."""
